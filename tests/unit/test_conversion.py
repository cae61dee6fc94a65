"""How a recipe's chain of stages ends: what its [convert] table may say, and that a network without files is told."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefer.conversion import Conversion, make_files, read_conversion
from edgefer.errors import ConversionError, InputError
from edgefer.mixing import AccuracyBudget
from edgefer.pipeline import Options
from edgefer.recipe import ConvertPart
from edgefer.recipe_loading import load_single, naming_lines
from tests.chain_recipe import RECIPE


def ending(folder: Path, lines: str) -> Conversion:
    recipe = folder / "distil.toml"
    recipe.write_text(f"{RECIPE}\n[convert]\n{lines}\n")
    with naming_lines(str(recipe)):
        part = load_single(str(recipe)).convert
        assert part is not None
        return read_conversion(part, seed=3)


def test_a_recipe_says_what_the_convert_command_is_told(tmp_path: Path):
    said = ending(
        tmp_path,
        """formats = ["tflite-int8", "onnx-int8"]
input = "float"
io = "int8"
calibration = 50
calibration_method = "best"
keep_float = ["head", "conv_*"]
golden = "synthetic"
""",
    )
    assert [form.id for form in said.formats] == ["tflite-int8", "onnx-int8"]
    assert said.options == Options("float", "int8", 50, 3, "best", ("head", "conv_*"))
    assert said.part.golden == "synthetic"


def test_float_layers_can_be_left_to_be_chosen(tmp_path: Path):
    plain = 'formats = ["onnx-int8"]\nkeep_float = "auto"'
    assert ending(tmp_path, plain).options.keep_float == AccuracyBudget(0.5)
    assert ending(tmp_path, f"{plain}\nmax_drop = 2").options.keep_float == AccuracyBudget(2.0)


def test_all_formats_have_a_word_of_their_own():
    from edgefer.pipeline import known_formats

    general = [form for form in known_formats().values() if not form.special]
    assert list(read_conversion(ConvertPart(formats=("all",)), 0).formats) == general


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ('formats = ["tflite-in8"]', 35, "convert.formats: unknown format 'tflite-in8'; did you mean 'tflite-int8'"),
        ("formats = []", 35, "convert.formats: formats must name at least one"),
        ("calibration = 50", 34, "convert.formats is missing"),
        ('formats = ["onnx-int8"]\ncalibration = 0', 36, "convert.calibration: calibration must be at least 1"),
        ('formats = ["onnx-int8"]\nmethod = "mse"', 36, "unknown key 'convert.method'"),
        ('formats = ["onnx-int8"]\ncalibration_method = "mde"', 36, "convert.calibration_method: Invalid enum value"),
        ('formats = ["onnx-int8"]\nmax_drop = 1.0', 36, 'convert.max_drop: max_drop needs keep_float = "auto"'),
        ('formats = ["onnx-int8"]\nkeep_float = ["auto", "x"]', 36, 'keep_float "auto" stands alone'),
        ('formats = ["onnx-fp32"]\nkeep_float = "auto"', 36, "convert.keep_float: none of the formats takes a"),
        ('formats = ["onnx-fp32"]\nkeep_float = ["head"]', 36, "convert.keep_float: none of the formats takes a"),
        (
            'formats = ["tflite-dynamic"]\ncalibration_method = "mse"',
            36,
            "convert.calibration_method: none of the formats takes a calibration method",
        ),
        (
            'formats = ["onnx-fp32"]\ncalibration_method = "best"',
            36,
            "convert.calibration_method: none of the formats takes a calibration method",
        ),
        (
            'formats = ["onnx-int8"]\nio = "int8"',
            36,
            "convert.io: none of the formats takes int8 at its ends; tflite-int8 does",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(lines: str, line: int, message: str, tmp_path: Path):
    with pytest.raises(InputError) as caught:
        ending(tmp_path, lines)
    assert f"distil.toml, line {line}: " in str(caught.value)
    assert message in str(caught.value)


def test_a_recipe_without_stages_ends_in_no_files(tmp_path: Path):
    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE[: RECIPE.index("[[stages]]")] + '[convert]\nformats = ["onnx-int8"]\n')
    with pytest.raises(
        InputError, match="line 24: convert: convert is how stages end, and the recipe has none"
    ):
        load_single(str(recipe))


def test_a_mistake_is_found_before_the_training(tmp_path: Path):
    from edgefer.cli.main import cli

    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE + '\n[convert]\nformats = ["tflite-in8"]\n')
    out = tmp_path / "run"
    ran = CliRunner().invoke(cli, ["train", str(recipe), "--data", "synthetic", "--out", str(out)])
    assert "distil.toml, line 35: convert.formats: unknown format" in str(ran.exception)
    assert not out.exists()


def test_a_recipe_tells_how_it_ends(tmp_path: Path):
    from edgefer.cli.main import cli

    recipe = tmp_path / "distil.toml"
    recipe.write_text(RECIPE + '\n[convert]\nformats = ["tflite-int8"]\n')
    ran = CliRunner().invoke(cli, ["recipes", str(recipe)])
    assert ran.exit_code == 0
    assert "convert.formats" in ran.output


def test_a_network_that_cannot_be_exported_is_told_of_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from edgefer import conversion

    def refuse(*given: object) -> None:
        *_, options, _ = given
        assert isinstance(options, Options)
        assert options.trust_range  # as the stages did
        raise ConversionError("the export differs")

    monkeypatch.setattr(conversion, "convert", refuse)
    wanted = read_conversion(ConvertPart(formats=("tflite-int8", "onnx-int8")), 0)
    files = make_files(wanted, None, None, tmp_path, lambda *_: None)  # type: ignore[arg-type]  # nobody asks
    assert [(one.format, one.error, one.good) for one in files] == [
        ("tflite-int8", "the export differs", False),
        ("onnx-int8", "the export differs", False),
    ]


@pytest.mark.parametrize("command", ["convert", "compress"])
def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work(command: str, tmp_path: Path):
    from edgefer.cli.main import cli

    (tmp_path / "notes").write_text("mine")
    ran = CliRunner().invoke(cli, [command, "no.keras", "--out", str(tmp_path / "notes")])
    assert ran.exit_code == 2
    assert "is a file" in ran.output


def test_no_calibration_image_is_refused_before_the_work():
    from edgefer.cli.main import cli

    ran = CliRunner().invoke(cli, ["convert", "no.keras", "--to", "tflite-int8", "--calibration", "0"])
    assert ran.exit_code == 2
    assert "0 is not in the range" in ran.output
