"""Families are called as their authors call them, where people read; programs read identifiers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import kinprint

from kinprint.families import family_name, published_name, raw_tables


@pytest.mark.parametrize(
    ("table", "model_type", "name"),
    [
        ("llama", "llama", "Llama"),
        ("llama", "mistral", "Mistral"),
        ("llama", "nobody's", "Llama"),
        ("mixtral", "mixtral", "Mixtral"),
        ("qwen2", "qwen2", "Qwen2"),
        ("qwen3", "qwen3", "Qwen3"),
        ("gemma3", "gemma3_text", "Gemma 3"),
        ("gpt2", "gpt2", "GPT-2"),
        ("gpt_neox", "gpt_neox", "GPT-NeoX"),
        ("opt", "opt", "OPT"),
        ("phi3", "phi3", "Phi-3"),
        ("olmo", "olmo", "OLMo"),
        ("falcon", "falcon", "Falcon"),
        ("mpt", "mpt", "MPT"),
        ("bloom", "bloom", "BLOOM"),
        ("starcoder2", "starcoder2", "StarCoder2"),
        ("cohere", "cohere", "Cohere"),
        ("deepseek", "deepseek_v3", "DeepSeek-V3"),
        ("jina_bert", "bert", "JinaBERT"),
        ("gguf_llama", "llama", "Llama"),
        ("gguf_neox", "gptneox", "GPT-NeoX"),
        ("gguf_neox", "", "GPT-NeoX"),
        ("gguf", "qwen3", "Qwen3"),
        ("gguf", "nobody's", "nobody's"),
        ("a_table_of_mine", "llama", "a_table_of_mine"),
        ("", "", ""),
    ],
)
def test_families_have_the_names_that_their_authors_use(table: str, model_type: str, name: str) -> None:
    """A GGUF file is called what its header says it holds; a table without a name by its identifier."""
    assert family_name(table, model_type) == name


def test_names_are_of_a_table_or_of_what_it_serves() -> None:
    for family, raw in raw_tables().items():
        titles = raw.get("titles", {})
        assert set(titles) <= {family, *raw["model_types"]}, family
        assert all(isinstance(title, str) and title.isprintable() and title.strip() == title for title in titles.values())
        if not family.startswith(("gguf", "litgpt")):
            assert family in titles, f"{family}.toml has no name for people: titles"


def test_a_table_is_named_before_a_type_of_another_table() -> None:
    """`deepseek` is a table, and the model type of the first DeepSeek, which the table `deepseek_moe` reads."""
    assert published_name("deepseek") == raw_tables()["deepseek"]["titles"]["deepseek"]


def test_people_read_names_and_programs_identifiers(models: Path) -> None:
    assert "read as Llama (known): its type is llama" in kinprint("inspect", models / "base").stdout
    assert json.loads(kinprint("inspect", models / "base", "--json").stdout)["family"] == "llama"
