"""A task backend for tests."""

from django_tasks.backends.immediate import ImmediateBackend


class OursAtOnce(ImmediateBackend):
    """Runs our tasks at once, and Wagtail's not at all.

    With each object that is saved, Wagtail brings its indexes of words and of references up to
    date, which few tests read and which takes a quarter of the time of core's tests.
    """

    def _execute_task(self, task_result):
        if task_result.task.module_path.startswith("wagtail_vector_index."):
            super()._execute_task(task_result)
