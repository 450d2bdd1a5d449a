from pathlib import Path

from shared.backing.aot import AotCache
from shared.backing.settings import BackingSettings

JAVA = Path("/runtime/bin/java")
JARS = [Path("/cache/a-1.jar"), Path("/cache/b-1.jar")]


def test_the_cache_is_used_once_it_exists(tmp_path: Path) -> None:
    cache = AotCache.of(BackingSettings(cache=tmp_path), JAVA, JARS)
    assert cache.options() == ()
    cache.path.touch()
    assert cache.options() == (f"-XX:AOTCache={cache.path}",)


def test_another_class_path_order_or_runtime_has_another_cache(tmp_path: Path) -> None:
    settings = BackingSettings(cache=tmp_path)
    paths = {
        AotCache.of(settings, JAVA, JARS).path,
        AotCache.of(settings, JAVA, JARS[::-1]).path,
        AotCache.of(settings, Path("/other/bin/java"), JARS).path,
        AotCache.of(settings, JAVA, [*JARS[:1], Path("/cache/b-2.jar")]).path,
    }
    assert len(paths) == 4
