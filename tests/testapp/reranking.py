"""A reranking backend for tests: it counts a letter, and can be told to fail."""

from wagtail_vector_index.reranking.base import RerankingBackend


class LetterReranker(RerankingBackend):
    """Gives a text the number of its letters Z as a score, and keeps what it is asked."""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        #: The query and the texts of each call.
        self.asked = []
        #: Makes the scores from the texts; what it raises is raised.
        self.answer = lambda texts: [text.count("Z") for text in texts]

    def rerank(self, query, texts):
        self.asked.append((query, list(texts)))
        return self.answer(texts)
