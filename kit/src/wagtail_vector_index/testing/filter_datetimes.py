"""Filters compare datetimes as instants, to the microsecond, whatever their offsets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from django.db.models import Q

from .filtering import FilterHarness
from .rules import about

__all__ = ["DatetimeFilterTests"]

NONE = "missing null other"


class DatetimeFilterTests(FilterHarness):
    @about("filters-on-datetimes")
    def test_filter_datetime(self) -> None:
        values = {
            "utc": "2024-01-01T00:00:00+00:00",
            "zulu": "2024-01-01T00:00:00.000001Z",
            # Later as text, earlier as an instant.
            "cairo": "2024-01-01T00:30:00+02:00",
            "same": "2023-12-31T19:00:00-05:00",
            "blank": "2024-01-01 00:00:00.999999+00:00",
            "minutes": "1969-07-20T20:17+00:00",
            "old": "1899-12-31T23:59:59.5+00:00",
            "later": "2999-01-01T00:00:00+05:30",
        }
        spec = self.of_values("datetime", values)
        new_year = datetime(2024, 1, 1, tzinfo=UTC)
        tick = timedelta(microseconds=1)
        in_tokyo = new_year.astimezone(timezone(timedelta(hours=9)))
        cases = [
            (Q(f=new_year), "utc same"),
            (Q(f=in_tokyo), "utc same"),
            (Q(f=new_year + tick), "zulu"),
            (Q(f=new_year + 2 * tick), ""),
            (Q(f=datetime(1969, 7, 20, 20, 17, tzinfo=UTC)), "minutes"),
            (Q(f=datetime(1899, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)), "old"),
            (Q(f__in=[in_tokyo, new_year + tick]), "utc same zulu"),
            (Q(f__gt=new_year), "zulu blank later"),
            (Q(f__gte=in_tokyo), "utc same zulu blank later"),
            (Q(f__gt=new_year + tick), "blank later"),
            (Q(f__lt=new_year), "cairo minutes old"),
            (Q(f__lte=new_year), "cairo minutes old utc same"),
            (
                Q(f__lt=datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)),
                "cairo minutes old utc same zulu blank",
            ),
            (Q(f__range=(new_year - timedelta(hours=2), new_year)), "cairo utc same"),
            (~Q(f__gte=new_year), f"cairo minutes old {NONE}"),
            (Q(f__isnull=False), " ".join(values)),
        ]
        self.keeps(spec, cases)

    @about("filters-on-datetimes")
    def test_filter_datetime_at_the_end_of_summer_time(self) -> None:
        spec = self.of_values(
            "datetime", {"first": "2024-10-27T00:30Z", "again": "2024-10-27T01:30Z"}
        )
        first = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        again = first.replace(fold=1)
        cases = [
            (Q(f=first), "first"),
            (Q(f=again), "again"),
            (Q(f__in=[first]), "first"),
            (Q(f__gt=first), "again"),
        ]
        self.keeps(spec, cases)
