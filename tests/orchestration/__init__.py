import pytest

pytest.register_assert_rewrite("orchestration.crowd", "orchestration.machine", "orchestration.steps")
