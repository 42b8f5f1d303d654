"""What the vendor's own Python client does with a server; run by an interpreter that has ``symbl`` and ``symbl-rest``.

It reads where the server and the recordings are from a JSON object on stdin, and writes what became of each step to
stdout. The client turns every failure of a read into a dictionary with a message, so those count as failures.
"""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Go through all that the client can do."""
    given = json.load(sys.stdin)
    # Before the package is imported: it makes its clients then, each with a copy of this.
    import symbl_rest

    configuration = symbl_rest.Configuration()
    configuration.host = given["url"]
    symbl_rest.Configuration.set_default(configuration)
    import symbl
    from symbl.AuthenticationToken import get_access_token
    from symbl.Conversations import Conversation

    logging.disable()
    # Half a minute between two looks at a job.
    Conversation._Conversation__INTERVAL_TIME_IN_SECONDS = 0.2
    done: dict[str, Any] = {}

    def step(name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            found = function(*args, **options)
        except Exception as exc:
            done[name] = {"failed": f"{type(exc).__name__}: {getattr(exc, 'body', None) or exc}"}
            return None
        if isinstance(found, dict) and set(found) == {"message"}:
            done[name] = {"failed": found["message"]}
        elif isinstance(found, Conversation):
            done[name] = {"id": found.get_conversation_id(), "status": found.get_job_status()}
        else:
            content = found.to_dict() if hasattr(found, "to_dict") else found
            done[name] = {"found": json.loads(json.dumps(content, default=str))}
        return found

    credentials = {"app_id": given["app_id"], "app_secret": given["app_secret"]}
    step("token", get_access_token, credentials)
    done["token"].pop("found", None)

    people = [
        ("Ines", "Can you send me the draft of the contract by Friday?"),
        ("Teo", "I will send the contract to Ines tomorrow. Let's meet again on Monday."),
    ]
    messages = [
        {"payload": {"content": text}, "from": {"name": name, "userId": f"{name.lower()}@example.com"}}
        for name, text in people
    ]
    text = {
        "name": "Planning",
        "messages": messages,
        "detectEntities": True,
        "detectPhrases": True,
        "trackers": [{"name": "Papers", "vocabulary": ["contract", "draft"]}],
    }
    spoken = {
        "name": "A recording",
        "customVocabulary": ["Halden", "Moreno"],
        "detectPhrases": True,
        "confidenceThreshold": 0.6,
        "trackers": [{"name": "Papers", "vocabulary": ["contract"]}],
        "channelMetadata": [{"channel": 1, "speaker": {"name": "Ines", "email": "ines@example.com"}}],
        "enableSeparateRecognitionPerChannel": False,
    }
    audio_url = {"url": given["audio_url"], "name": "Behind an address"}
    video_url = {"url": given["video_url"]}
    conversation = step("text", symbl.Text.process, text)
    own = conversation.get_conversation_id()
    step("text appended", symbl.Text.append, {"messages": messages}, own)
    step("audio", symbl.Audio.process_file, given["audio"], parameters=dict(spoken))
    step("audio with a type", symbl.Audio.process_file, given["audio"], content_type="audio/mpeg")
    step(
        "audio url",
        symbl.Audio.process_url,
        audio_url,
        parameters={"enableSpeakerDiarization": True, "diarizationSpeakerCount": 2},
    )
    step("audio appended", symbl.Audio.append_file, given["audio"], own, parameters=dict(spoken))
    step("audio url appended", symbl.Audio.append_url, audio_url, own)
    step("video", symbl.Video.process_file, given["video"], parameters=dict(spoken))
    step("video url", symbl.Video.process_url, video_url)
    step("video appended", symbl.Video.append_file, given["video"], own)
    step("video url appended", symbl.Video.append_url, video_url, own)

    read = symbl.Conversations
    members = step("members", read.get_members, own)
    step("conversation", read.get_conversation, own)
    step("messages", read.get_messages, own, parameters={"verbose": True, "sentiment": True})
    step("topics", read.get_topics, own, parameters={"sentiment": True, "parentRefs": True})
    step("questions", read.get_questions, own)
    step("action items", read.get_action_items, own)
    step("follow-ups", read.get_follow_ups, own)
    step("entities", read.get_entities, own)
    step("trackers", read.get_trackers, own)
    step("analytics", read.get_analytics, own)
    step("insights", symbl_rest.InsightsApi().get_insights_by_conversation_id, own)
    # Of four more calls that the package has, two pass their arguments in an order that its generated layer does not
    # take, so that layer is asked itself; it has none for the other two, which delete and format a transcript.
    layer = symbl_rest.ConversationsApi()
    if members is not None:
        member = members.members[0].id
        named = {"id": member, "name": "Ines Moreno"}
        step("member named", layer.put_members_information_by_members_id, named, own, member)
        step("members then", read.get_members, own)
    events = [
        {"type": kind, "user": {"id": "u1", "name": "Ada"}, "offset": {"seconds": at, "nanos": 5000000000}}
        for kind, at in (("started_speaking", 0), ("stopped_speaking", 2))
    ]
    step("speaker events", layer.put_speakers_event_by_conversation_id, {"speakerEvents": events}, own)
    step("unknown", read.get_conversation, "1" * 16)
    json.dump(done, sys.stdout)


main()
