"""Which number of threads is taken, with made-up times."""

from irplan.compute.threads import ThreadChoice


def test_all_threads_while_each_has_a_core():
    choice = ThreadChoice(2)
    for _ in range(50):
        assert choice.pick() == 2
        choice.learn(2, 1.0, 1.0, cpu_s=1.9)


def test_one_thread_where_a_neighbour_holds_a_core_and_back():
    choice = ThreadChoice(2)
    assert choice.pick() == 2
    choice.learn(2, 1.0, 4.0, cpu_s=5.0)  # 0.6 of a core each
    assert choice.pick() == 1
    choice.learn(1, 1.0, 2.0, cpu_s=2.0)
    assert choice.pick() == 1  # twice as fast
    taken = []
    for _ in range(20):
        taken.append(choice.pick())
        choice.learn(taken[-1], 1.0, 1.0 if taken[-1] == 2 else 2.0, cpu_s=1.95 * taken[-1] / 2)
    assert 2 in taken  # tried again
    assert taken[-1] == 2  # the neighbour has gone


def test_rates_decide_where_processor_time_is_not_known():
    choice = ThreadChoice(2)
    choice.learn(choice.pick(), 1.0, 1.0)
    choice.learn(choice.pick(), 1.0, 3.0)
    assert choice.pick() == 2


def test_one_thread_is_one_thread():
    choice = ThreadChoice(1)
    choice.learn(1, 1.0, 1.0, cpu_s=0.1)
    assert choice.pick() == 1
