"""Building the compiled engine, and the cases in which it is not called."""

import ctypes
import re

import pytest
import torch
from native_networks import SETS, needs_library

from nmt import native
from nmt.engines.compiled.engine import linear
from nmt.engines.compiled.weights import PackedMatrix
from nmt.errors import NmtError
from nmt.model.compiled_recurrence import unavailable_reason
from nmt.native import arrays, build


@pytest.fixture
def look_anew():
    """The library is looked for once a process: forget what was found, before and after."""
    native.library.cache_clear()
    yield
    native.library.cache_clear()


COMPILER = """#!/bin/sh
# A compiler that refuses what REFUSED matches, and keeps what it has compiled: most parts are the same in all tests.
key=
for argument; do
    case $argument in REFUSED) exit 1;; esac
    case $argument in *.o) object=$argument ;; */layout.cpp) key="$key layout" ;; *) key="$key $argument" ;; esac
done
kept="KEPT/$(echo "$key" | md5sum | cut -c1-32)"
case $key in *" -c "*) ;; *) exec c++ "$@" ;; esac
[ -e "$kept" ] || { c++ "$@" && cp "$object" "$kept.$$" && mv "$kept.$$" "$kept"; } || exit 1
cp "$kept" "$object"
"""  # noqa: E501


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture
def compiler(tmp_path, kept, monkeypatch):
    """Makes the build use a compiler that refuses some arguments, a pattern of the shell."""

    def use(refused="-no-such-argument"):
        path = tmp_path / "compiler"
        path.write_text(COMPILER.replace("REFUSED", refused).replace("KEPT", str(kept)))
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return use


@needs_library
def test_the_library_can_be_built_elsewhere_and_is_the_same(tmp_path, compiler):
    compiler()
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
def test_an_old_assembler_builds_everything_but_what_training_needs(
    tmp_path, monkeypatch, look_anew, compiler
):
    compiler("*/recurrence.cpp")
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert build.build(tmp_path / "kernels.so") is None
    library = native.library()
    assert library.nmt_step
    assert not any(hasattr(library, name) for name in native.TRAINING)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert "use a newer one" in unavailable_reason(64)


@needs_library
@pytest.mark.parametrize("unknown", ["-mamx*", "-mavxvnni"])
def test_a_compiler_that_knows_fewer_instructions_builds_an_engine_that_computes_the_same(
    tmp_path, monkeypatch, look_anew, compiler, unknown
):
    torch.manual_seed(1)
    matrix, inputs_NI = PackedMatrix.of(torch.randn(64, 128)), torch.randn(20, 128)
    expected_NO = linear(matrix, inputs_NI)
    compiler(unknown)
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


@needs_library
def test_without_its_instructions_the_library_is_not_used(look_anew, monkeypatch):
    monkeypatch.setattr(native, "sets", lambda library: ())
    assert native.library() == "this processor has no AVX2, FMA and F16C instructions"


@needs_library
@pytest.mark.parametrize("name", SETS)
def test_the_engine_is_held_to_an_instruction_set(look_anew, monkeypatch, name):
    monkeypatch.setenv("NMT_ISA", name)
    native.library()
    assert native.set_in_use() == name


@needs_library
def test_without_a_wish_the_last_instruction_set_is_used(look_anew, monkeypatch):
    monkeypatch.delenv("NMT_ISA", raising=False)
    native.library()
    assert native.set_in_use() == SETS[-1]


def test_an_unknown_instruction_set_is_refused(look_anew, monkeypatch):
    monkeypatch.setenv("NMT_ISA", "sse9")
    with pytest.raises(
        NmtError,
        match=(
            "NMT_ISA: unknown instruction set 'sse9'; use avx2, avxvnni, avx512 or amx, or unset it"
        ),
    ):
        native.library()


@needs_library
def test_an_instruction_set_that_the_processor_lacks_is_refused(look_anew, monkeypatch):
    monkeypatch.setattr(native, "sets", lambda library: ("avx2",))
    monkeypatch.setenv("NMT_ISA", "amx")
    with pytest.raises(
        NmtError,
        match=r"NMT_ISA=amx: the compiled engine cannot use it \(.* it has avx2\); unset NMT_ISA",
    ):
        native.library()


def test_an_instruction_set_for_a_library_that_is_missing_is_refused(
    look_anew, monkeypatch, tmp_path
):
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    monkeypatch.setenv("NMT_ISA", "avx2")
    with pytest.raises(
        NmtError,
        match=(
            r"NMT_ISA=avx2: the compiled engine cannot use it \(it was not built .*\); unset"
            r" NMT_ISA"
        ),
    ):
        native.library()


@needs_library
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_library_that_was_cut_short_is_not_loaded(look_anew, monkeypatch, tmp_path, share):
    whole = native.LIBRARY.read_bytes()
    (tmp_path / "kernels.so").write_bytes(whole[: int(share * len(whole))])
    monkeypatch.setattr(native, "LIBRARY", tmp_path / "kernels.so")
    assert "not whole; install nmt again" in native.library()


@needs_library
def test_a_library_whose_arrays_lie_otherwise_is_not_called(look_anew, monkeypatch):
    class StepArrays(ctypes.Structure):
        _fields_ = (*arrays.StepArrays._fields_[1:], arrays.StepArrays._fields_[0])

    monkeypatch.setattr(arrays, "STRUCTURES", (*arrays.STRUCTURES, StepArrays))
    assert native.library() == "its Step arrays are laid out in another way; install nmt again"


def test_every_structure_of_the_header_has_its_mirror():
    names = re.findall(r"^struct (\w+)", (build.FOLDER / "arrays.h").read_text(), re.MULTILINE)
    assert sorted(
        structure.__name__.removesuffix("Arrays") for structure in arrays.STRUCTURES
    ) == sorted(names)


@pytest.mark.parametrize("structure", arrays.STRUCTURES, ids=lambda each: each.__name__)
def test_a_structure_takes_its_fields_by_name_and_refuses_names_that_it_lacks(structure):
    numbers = [name for name, kind in structure._fields_ if kind is ctypes.c_int64]
    filled = structure(**{name: 7 + place for place, name in enumerate(numbers)})
    assert [getattr(filled, name) for name in numbers] == [7 + n for n in range(len(numbers))]
    with pytest.raises(TypeError, match=rf"{structure.__name__} has no field lenght"):
        structure(lenght=1)
    with pytest.raises(TypeError, match="positional"):
        structure(1)
