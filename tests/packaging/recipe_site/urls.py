"""One view: a search."""

from django.http import JsonResponse
from django.urls import path
from recipes.models import Recipe


def search(request):
    found = Recipe.vector_index.search(request.GET["q"], request=request, limit=3)
    return JsonResponse([recipe.title for recipe in found], safe=False)


urlpatterns = [path("search/", search)]
