"""A chat backend for tests: it gives the same answer to all questions, word by word."""

from dataclasses import dataclass

from wagtail_vector_index.chat.base import ChatBackend


class ScriptedChat(ChatBackend):
    """Keeps the messages that it gets. Counts words for tokens, and can be told to fail."""

    @dataclass(frozen=True, kw_only=True)
    class Options(ChatBackend.Options):
        context_tokens: int = 1_000
        answer_tokens: int = 100
        tokens_per_word: int = 1

    def __init__(self, alias, options):
        super().__init__(alias, options)
        #: The messages of each request.
        self.asked = []
        self.closed = 0
        self.answer = "Mix flour and water [1]."
        #: Called with each piece before it is given; what it raises is raised.
        self.before = lambda piece: None

    @property
    def context_tokens(self):
        return self.options.context_tokens

    @property
    def answer_tokens(self):
        return self.options.answer_tokens

    def count_tokens(self, text):
        return self.options.tokens_per_word * len(text.split())

    def stream(self, messages):
        self.asked.append(list(messages))
        try:
            for word in self.answer.split():
                self.before(word)
                yield f"{word} "
        finally:
            self.closed += 1
