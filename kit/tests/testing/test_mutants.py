"""The suite catches every backend that is broken on purpose, and none that is right.

`CATCHES` names, for each test of the suite, mutants that it must catch. Those of sizes, values,
time and wrong input name their tests themselves, in `mutants.CAUGHT`. Each test is there, so
a test that cannot fail is noticed; and each mutant is, once.
"""

import pytest

from .mutants import CAUGHT, MUTANTS, RIGHT, MutantConformance
from .runner import STATEFUL, cases_of, failure_of, first_failure

pytestmark = pytest.mark.once

CATCHES = {
    # Lifecycle
    "test_new_collection_is_empty": "NeverEmpty",
    "test_unknown_metric_is_refused": "AnyMetric",
    "test_create_again_keeps_the_records": "CreateClears CreateOnce",
    "test_create_with_other_dimensions": "CreateReplaces",
    "test_create_with_another_metric": "CreateLooksAtNamesOnly AsyncCreateLooksAtDimensions",
    "test_create_with_other_fields": "CreateOverlooksFields",
    "test_drop_again": "DropOnce",
    "test_drop_and_create_is_empty": "DropLeavesRecords",
    "test_drop_and_create_with_another_shape": "DropKeepsTheShape",
    "test_collections_are_listed": "DropOnlyEmpties ListsNothing ListsForEver ListsUnsorted",
    "test_optimize_changes_nothing": "OptimizeForgets NeedsOptimize ExactFindsNothing",
    "test_health_and_check": "Unhealthy ChecksInTexts",
    "test_close_and_use_again": "ClosesForGood",
    # Writing
    "test_upsert_again_changes_nothing": "DuplicatesAppended",
    "test_empty_batch": "EmptyBatchFails",
    "test_upsert_replaces_the_vector": "OldRecordsStay OldVectorsStay",
    "test_upsert_replaces_the_metadata": (
        "MergesMetadata StaleFilterColumns AsyncUpsertMergesMetadata"
    ),
    "test_the_last_upsert_wins": "StaleUpsertWins",
    "test_the_last_of_an_id_in_a_batch_wins": "HalfWritten",
    "test_the_last_of_an_id_across_parts_wins": "FirstOfABatchWins RemainderDropped",
    "test_batches_beyond_the_limit_of_records": "CountCapped FirstPartOnly LastPartOnly",
    "test_batches_beyond_the_limit_of_bytes": "BytesCut",
    "test_slices_of_a_batch": "WholeBuffers",
    "test_buffers_are_the_callers_own": "KeepsBuffers",
    "test_reads_see_every_write": "AsyncGetsTheFirstVector",
    # Deleting
    "test_delete_one": "CountOfWrites",
    "test_delete_several": "DeletesOne",
    "test_delete_ids_that_share_a_part": "LowHalves HighHalves FirstFields",
    "test_delete_what_is_missing": "DeleteNeedsTheRecord DeleteStopsAtMissing",
    "test_delete_nothing": "DeletesAllForNone",
    "test_delete_beyond_the_limit_of_records": "DeletesFirstPart",
    "test_delete_and_write_again": "LazyDeletes LaterDeletes DeletesForEver",
    "test_delete_everything": "DeletesAtNextWrite",
    # Reading
    "test_count": "CountIgnoresTheFilter CountOfItsOwn",
    "test_get": "GetRepeats GetNeedsAll",
    "test_get_nothing": "GetAllForNone",
    "test_get_beyond_the_limit_of_records": "GetFirstPart",
    "test_scan": "ScanRepeats ScanSkips ScanStops ScanInOne",
    "test_scan_with_a_wrong_batch_size": "ScanOfNoSize",
    "test_records_come_back": (
        "Float16Vectors NormalisedVectors MirroredVectors VectorsWithheld RowsMixedUp DeclaredOnly"
        " AsyncGetMixesRowsUp"
    ),
    # Scores
    "test_matches_have_ids_and_scores": "TextIds Pairs",
    "test_score": (
        "WrongSign UnnormalisedCosine QueryNotNormalised MissingParentheses CosineDistance"
        " Certainty AbsoluteCosine SquaredDistance InvertedDistance MinScoreOfZero"
        " NegativeScoresClamped ScoresOfItsOwn"
    ),
    "test_nearest_first": "PositiveDistance",
    "test_ranking_of_random_vectors": (
        "LimitCapped RoundedScores Approximate QuantisedVectors OneDimensionFindsNothing"
    ),
    "test_vector_finds_itself": "NormalisedDot DistanceFromProducts",
    "test_cosine_stays_in_its_range": "CosineBeyondOne",
    "test_cosine_knows_no_length": "SmallNorms",
    "test_zero_vectors_are_fine": "RefusesZero ZeroIsNaN",
    "test_queries_of_any_kind": "ListsOnly",
    # Ranking
    "test_equal_scores_are_ordered_by_id": "TiesAsInserted TiesCutAnywhere TiesBySignedId",
    "test_limit": (
        "LimitIgnored LimitOffByOne LimitOfTwenty HugeLimitRefused LimitOf32Bits Unsorted"
        " FoundTwice"
    ),
    "test_limit_across_batches": "LimitPerPart",
    "test_wrong_limit": "NegativeLimit",
    "test_min_score": "MinScoreIgnored MinScoreExclusive MinScoreIsADistance",
    "test_min_score_with_limit_and_filter": "MinScoreOfTheSquare",
    "test_wrong_min_score": "AnyThreshold",
    # Filters
    "test_filter_int": "Int32Numbers InclusiveIsExclusive",
    "test_filter_float": "Float32Numbers Float32Floats ExactByTolerance",
    "test_filter_bool": "FalsyIsNull",
    "test_filter_datetime": (
        "WholeSeconds Milliseconds OffsetsIgnored UnsignedTimes DatetimesAsTexts"
    ),
    "test_filter_datetime_at_the_end_of_summer_time": "ClockFaces",
    "test_filter_scalars_without_value": (
        "EmptyInMatchesAll EmptyTextIsNull NotNeedsAValue NullIsAbsent NullIsExplicit"
    ),
    "test_filter_texts_exact": (
        "IgnoresCase TrimsTexts ComposesUnicode StripsAccents Tokenises Unescapes"
    ),
    "test_filter_texts_in": "SubstringIn",
    "test_filter_texts_negated": "LikeWildcards",
    "test_filter_prefixes_are_other_keys": "PrefixKeys",
    "test_filter_long_texts": "TruncatesTexts",
    "test_filter_by_many_values": "FewValues",
    "test_filter_fields_named_like_reserved_words": "ReservedIsSpecial",
    "test_filter_lists_of_texts": "ContainsPart",
    "test_filter_lists_of_ints": "ContainsFirst Int32Lists",
    "test_filter_lists_without_value": "EmptyListIsAValue",
    "test_filter_trees": "OneLevelOnly NotOnce",
    "test_filter_wide_and_deep_trees": "OrIsAnd",
    "test_filter_by_every_type_in_one_filter": "ThreeValuedNot NotOfEachChild",
    "test_wrong_filter": "UnknownFieldsMatchNothing",
    "test_wrong_filter_says_what_there_is": "SaysNothing",
    "test_filter_that_keeps_the_farthest_few": "FilterAmongCandidates",
    "test_filter_that_keeps_the_farthest_half": "FilterAfterLimit",
    "test_filter_that_keeps_nothing": "NeverNothing",
    # Metadata
    "test_metadata_values": (
        "RoundedFloats IntsAsFloats BoolsAsInts NumbersAsTexts ShortTexts EscapedTexts ParsedTexts"
        " ComposedTexts TrimmedTexts ThreeByteTexts FlatMetadata"
    ),
    "test_metadata_keys": "LowerCaseKeys NestedKeys ReservedKeysDropped",
    "test_metadata_missing_none_and_empty_are_kept_apart": "NoneDropped EmptyListsDropped",
    "test_metadata_of_declared_fields_are_kept_as_they_are": (
        "Float32Metadata Int32Metadata SortedLists"
    ),
    # Isolation
    "test_isolation_of_names_alike": (
        "ShortNames NamesWithoutUnderscores NumbersIgnored LikeNames OneTable"
    ),
    "test_isolation_of_other_shapes": "DeletesEverywhere",
    "test_isolation_of_fields_alike": "ShortFieldNames",
    "test_isolation_of_a_field_of_another_type": "OneSetOfRecords",
    "test_missing_collection_with_a_name_alike": "PrefixNames DropsByPrefix",
    # Wrong input
    "test_upsert_of_a_bad_vector": (
        "WritesBeforeChecking RolledBackStaysVisible ChecksPartByPart AcceptsNaN PadsVectors"
    ),
    "test_upsert_of_a_zero_vector_under_cosine": "AcceptsZeroUnderCosine",
    "test_search_by_a_bad_vector": "NonsenseFindsNothing",
    "test_search_by_a_zero_vector_under_cosine": "ZeroFindsNothing",
    "test_nothing_is_lost_after_an_error": "SkipsInvalid",
    "test_upsert_of_values_of_another_type": "AcceptsAnyMetadata",
    "test_upsert_of_metadata_that_is_no_json_object": "AcceptsAnyJson",
    "test_ids_are_uuids": "AnyId",
    # Failures
    "test_missing_collection": "MissingIsEmpty DeletingFromNothing NothingAsked",
    "test_dropped_collection": "WritingMakes",
    "test_part_of_a_batch_fails": "FailedPartsSkipped RestUnnamed",
    "test_service_that_is_away": "AwayIsEmpty AwaySeemsWell",
    "test_store_refuses_part_of_a_batch": "RefusalsOnlyLogged RefusalsUnnamed",
    "test_what_failed_is_deleted_and_written_again": "NeverMended",
    "test_records_are_found_by_their_own_vectors": "FindsNobodyMissing MissesEqualRecords",
    # Threads, event loops, processes
    "test_search_while_others_write": "TornVectors NotLocked SharedQuery",
    "test_writers_of_different_records": "LostUpdates",
    "test_writers_of_the_same_records": "VectorsThenMetadata",
    "test_first_use_in_several_threads": "ConnectsTwice",
    "test_create_and_drop_in_several_threads": "CreateRaces DropRaces",
    "test_asearch": "AsyncSearchIgnoresTheFilter AsyncSearchIgnoresMinScore",
    "test_acount_aget_and_ascan": "AsyncCountIgnoresTheFilter AsyncGetsFirst AsyncScansOnce",
    "test_aupsert_and_adelete": "AsyncDeletesLater",
    "test_acreate_adrop_and_the_rest": "AsyncCreateDoesNothing AsyncDropDoesNothing",
    "test_async_many_at_once_in_several_loops": "BoundToALoop",
    "test_async_calls_in_the_thread_of_djangos_connections": "AsyncAnywhere",
    "test_async_calls_leave_the_event_loop_free": (
        "AsyncSearchBlocks AsyncSearchSleeps AsyncUpsertWaitsForTheNetwork"
    ),
    "test_async_errors": "AsyncUnchecked",
    "test_async_missing_collection": "AsyncMissingIsEmpty",
    "test_async_service_that_is_away": "AsyncErrorsOfTheClient",
    "test_async_part_of_a_batch_fails": "AsyncUpsertsFirstPart",
    "test_records_outlive_the_instance": "SaysPersistent",
    "test_instances_in_one_process_are_apart_unless_persistent": "SharedByInstances",
    "test_fork": "BrokenByFork HangsAfterFork DiesAfterFork",
}

#: What the state machine finds where the other tests would too.
STATEFUL_CATCHES = (
    "UnnormalisedCosine NotNeedsAValue MergesMetadata OldVectorsStay FilterAfterLimit"
    " MissingIsEmpty ScanSkips EmptyTextIsNull"
).split()

BY_NAME = {mutant.__name__: mutant for mutant in MUTANTS}

PAIRS = [(test, name) for test, names in CATCHES.items() for name in names.split()]
PAIRS += [(test, mutant.__name__) for test, mutants in CAUGHT.items() for mutant in mutants]


def suite_for(backend):
    return type("Suite", (MutantConformance,), {"backend_class": backend})


def test_table_names_each_mutant_once_and_each_test():
    assert sorted(name for _, name in PAIRS) == sorted(BY_NAME)
    assert {test for test, _ in PAIRS} == {name for name, _ in cases_of()}


@pytest.mark.parametrize(("test", "name"), PAIRS, ids=[name for _, name in PAIRS])
def test_mutant_is_caught(test, name):
    mutant = BY_NAME[name]
    caught = first_failure(suite_for(mutant), cases_of(only=[test]))
    assert caught, f"{test} did not notice a backend where {mutant.__doc__}"
    assert isinstance(caught[1], mutant.caught_as), caught


@pytest.mark.parametrize("name", STATEFUL_CATCHES)
def test_mutant_is_caught_by_the_state_machine(name):
    error = failure_of(suite_for(BY_NAME[name]), STATEFUL, {})
    assert isinstance(error, AssertionError), f"It did not notice that {BY_NAME[name].__doc__}"


def closest_right(mutant):
    """The class without which the mutant would be right."""
    return next(cls for cls in mutant.__mro__ if cls in RIGHT)


# The first of them, from which all mutants derive, passes the whole suite in `test_conformance`.
@pytest.mark.parametrize("backend", RIGHT[1:], ids=lambda backend: backend.__name__)
def test_what_is_right_passes(backend):
    names = {name for name, cls in BY_NAME.items() if closest_right(cls) is backend}
    tests = [test for test, name in PAIRS if name in names]
    assert first_failure(suite_for(backend), cases_of(only=tests)) is None


@pytest.mark.parametrize("test", ["test_delete_one", "test_limit"])
def test_ids_of_another_type_are_named_before_anything_else(test):
    _, error = first_failure(suite_for(BY_NAME["TextIds"]), cases_of(only=[test]))
    assert str(error).startswith("A search returns Match objects, whose id is a UUID, and")
    assert "Match(id='" in str(error)


def test_runner_reports_a_failure():
    class Failing(MutantConformance):
        def test_that_fails(self):
            raise AssertionError("as it should")

    name, error = first_failure(Failing, cases_of(Failing))
    assert name == "test_that_fails"
    assert str(error) == "as it should"
