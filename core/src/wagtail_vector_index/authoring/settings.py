"""Settings for ``django-admin startvectorbackend`` where there is no project.

::

    django-admin startvectorbackend acme --settings=wagtail_vector_index.authoring.settings
"""

INSTALLED_APPS = ["wagtail_vector_index"]
