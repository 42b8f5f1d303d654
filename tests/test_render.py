"""Results as Markdown, from what servers of both generations answer."""

from __future__ import annotations

from symbl_async.cli.render import markdown
from symbl_async.models import (
    DetectedEntity,
    DetectedTracker,
    EntityMatch,
    InsightRef,
    MessageRef,
    SummaryEntry,
    TrackerMatch,
)


def test_everything_that_was_found_is_shown() -> None:
    """A part for each result that was fetched, with kinds of entities and numbers of places of trackers."""
    text = markdown(
        "Call",
        {
            "summary": (SummaryEntry(text="They met."), SummaryEntry(text="They agreed.")),
            "entities": (
                DetectedEntity(type="person", text="Maria"),
                DetectedEntity(type="custom", custom_type="product", text="Kestrel"),
                DetectedEntity(sub_type="location", matches=(EntityMatch("Lagos"), EntityMatch("Oslo"))),
            ),
            "trackers": (
                DetectedTracker(
                    name="Price",
                    matches=(
                        TrackerMatch(value="discount", message_refs=(MessageRef(),), insight_refs=(InsightRef(),)),
                    ),
                ),
            ),
        },
    )
    assert text == (
        "# Call\n\n## Summary\n\nThey met.\n\nThey agreed.\n\n"
        "## Entities\n\n- Maria (person)\n- Kestrel (product)\n- Lagos, Oslo (location)\n\n"
        '## Trackers\n\n- Price: "discount" (2)\n'
    )


def test_what_was_looked_for_in_vain_is_said() -> None:
    """An empty result is not a missing one."""
    assert markdown("Call", {"summary": (), "topics": (), "trackers": ()}).count("None.") == 3
