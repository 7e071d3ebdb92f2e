"""Settings for ``django-admin startvectorbackend`` without a project.

::

    django-admin startvectorbackend acme --settings=wagtail_vector_index.scaffold.settings
"""

INSTALLED_APPS = ["wagtail_vector_index"]
