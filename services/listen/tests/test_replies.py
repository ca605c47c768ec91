from listen.actions import Close, Count, SendText
from listen.replies import EARLY_LIMIT, Replies


def test_actions_come_out_once_and_in_order():
    replies = Replies()
    replies.say("a")
    replies.count("opened", 1, "fresh")
    replies.do([Close(1000)])
    assert replies.take() == [SendText("a"), Count("opened", 1, "fresh"), Close(1000)]
    assert replies.take() == []


def test_who_has_gone_hears_nothing_but_is_counted():
    replies = Replies()
    replies.gone = True
    replies.reject("bad_audio", "why")
    assert replies.take() == [Count("rejected", 1, "bad_audio")]


def test_trouble_is_told_when_it_begins_and_when_it_ends():
    replies = Replies()
    replies.ready("ready")
    replies.take()
    replies.trouble(None)
    assert replies.take() == []
    replies.trouble(True)
    replies.trouble(False)
    texts = [action.text for action in replies.take() if isinstance(action, SendText)]
    assert ["buffering" in text for text in texts] == [True, False]


def test_complaints_wait_for_the_first_ready():
    replies = Replies()
    replies.reject("bad_json", "no JSON")
    assert replies.take() == [Count("rejected", 1, "bad_json")]
    replies.ready("ready")
    first, second = (action.text for action in replies.take())
    assert (first, "bad_json" in second) == ("ready", True)
    replies.reject("bad_json", "no JSON")
    assert isinstance(replies.take()[1], SendText)


def test_complaints_that_wait_come_before_the_error_of_a_close():
    replies = Replies()
    for _ in range(EARLY_LIMIT + 3):
        replies.reject("bad_json", "no JSON")
    replies.take()
    replies.say("the reason")
    replies.close([Close(4404)])
    *early, reason, close = replies.take()
    assert ["bad_json" in action.text for action in early] == [True] * EARLY_LIMIT
    assert (reason, close) == (SendText("the reason"), Close(4404))


def test_nothing_is_told_of_trouble_before_the_first_ready():
    replies = Replies()
    replies.trouble(True)
    assert replies.take() == [Count("backpressure", 1, "paused")]
    replies.ready("ready")
    replies.trouble(False)  # which nobody was told of
    assert replies.take() == [SendText("ready"), Count("backpressure", 1, "resumed")]
    replies.trouble(True)
    assert "buffering" in replies.take()[1].text
