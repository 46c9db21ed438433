"""Building the compiled engine, and the cases in which it is not called."""

import pytest
import torch
from native_networks import needs_library

from nmt import native
from nmt.inference.compiled.engine import linear
from nmt.inference.compiled.packing import PackedMatrix
from nmt.model.compiled import why_not
from nmt.native import build


@pytest.fixture
def look_anew():
    """The library is looked for once a process: forget what was found, before and after."""
    native.library.cache_clear()
    yield
    native.library.cache_clear()


@needs_library
def test_the_library_can_be_built_elsewhere_and_is_the_same(tmp_path):
    assert build.build(tmp_path / "kernels.so") is None
    assert (tmp_path / "kernels.so").stat().st_size == native.LIBRARY.stat().st_size


def test_without_a_compiler_the_build_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("CXX", "no-such-compiler -O2")
    assert "no C++ compiler 'no-such-compiler'" in build.build(tmp_path / "kernels.so")
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("CXX", "false")
    assert "false failed" in build.build(tmp_path / "kernels.so")
    assert not list(tmp_path.iterdir())


@needs_library
def test_an_old_assembler_builds_everything_but_what_training_needs(tmp_path, monkeypatch, look_anew):
    old = tmp_path / "old-compiler"
    needs = 'for argument; do case $argument in *.cpp) c++ -MM "$argument" | grep -q bfloat.h && exit 1;; esac; done'
    old.write_text(f'#!/bin/sh\n{needs}\nexec c++ "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("CXX", str(old))
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert build.build(tmp_path / "kernels.so") is None
    library = native.library()
    assert library.nmt_step
    assert not any(hasattr(library, name) for name in native.TRAINING)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert "use a newer one" in why_not(64)


@needs_library
def test_a_compiler_that_knows_no_tiles_builds_an_engine_that_computes_the_same(tmp_path, monkeypatch, look_anew):
    torch.manual_seed(1)
    matrix, inputs_NI = PackedMatrix.of(torch.randn(64, 128)), torch.randn(20, 128)
    expected_NO = linear(matrix, inputs_NI)
    old = tmp_path / "old-compiler"
    old.write_text('#!/bin/sh\nfor argument; do case $argument in -mamx*) exit 1;; esac; done\nexec c++ "$@"\n')
    old.chmod(0o755)
    monkeypatch.setenv("CXX", str(old))
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert build.build(tmp_path / "kernels.so") is None
    native.library.cache_clear()
    assert native.library().nmt_step
    assert torch.equal(linear(matrix, inputs_NI), expected_NO)


def test_other_processors_are_not_built_for(tmp_path, monkeypatch):
    monkeypatch.setattr(build.platform, "machine", lambda: "aarch64")
    assert "this is aarch64" in build.build(tmp_path / "kernels.so")


@needs_library
def test_a_library_of_other_sources_is_not_called(look_anew, monkeypatch):
    monkeypatch.setattr(native, "sources_mark", lambda: 1)
    assert "built from other sources" in native.library()


def test_a_library_that_was_not_built_is_not_missed(look_anew, monkeypatch, tmp_path):
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert "was not built" in native.library()


@needs_library
def test_a_file_that_is_no_library_is_not_called(look_anew, monkeypatch, tmp_path):
    (tmp_path / "kernels.so").write_bytes(b"nothing")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert "cannot be loaded" in native.library()


def test_without_its_instructions_the_library_is_not_loaded(look_anew, monkeypatch, tmp_path):
    (tmp_path / "kernels.so").write_bytes(b"nothing")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert "no AVX512-VNNI" in native.library()
