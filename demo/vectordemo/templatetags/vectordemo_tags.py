from django import template

register = template.Library()


@register.filter
def percent(score):
    """Return a score in [-1, 1] as the width of a bar."""
    return f"{max(0, min(100, round(float(score) * 100)))}%"
