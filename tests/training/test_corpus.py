"""Books, tokenizer and windows."""

from __future__ import annotations

import numpy as np
import pytest

from model_training.corpus import (
    END_OF_TEXT,
    END_OF_TEXT_ID,
    Windows,
    load_or_train_tokenizer,
    read_books,
    token_stream,
)


def test_books_are_split_at_form_feeds(tmp_path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("one\n\ntwo\n\f\nthree\n", encoding="utf-8")
    assert read_books(file) == ["one\n\ntwo", "three"]


def test_token_stream_decodes_to_the_text(tmp_path, text_files) -> None:
    books = read_books(text_files["train"])
    tokenizer = load_or_train_tokenizer(tmp_path / "tokenizer.json", books, 300)
    stream = token_stream(tmp_path / "tokens.npy", books, tokenizer)
    assert stream.dtype == np.uint16
    assert tokenizer.token_to_id(END_OF_TEXT) == END_OF_TEXT_ID
    assert tokenizer.decode(stream.tolist(), skip_special_tokens=False) == "".join(
        END_OF_TEXT + book for book in books
    )


def windows(**changes) -> Windows:
    settings = {"stream": np.arange(1, 2000, dtype=np.uint16), "length": 8, "batch_size": 6}
    return Windows(**(settings | {"seed": 0} | changes))


def test_half_of_a_batch_begins_with_the_end_of_text_token() -> None:
    inputs, targets = windows().batch(3)
    assert inputs.shape == targets.shape == (6, 8)
    assert (inputs[:3, 0] == END_OF_TEXT_ID).all()
    assert (inputs[3:] > 0).all()
    # The stream counts upwards, so a target is its input plus one, but after end of text.
    np.testing.assert_array_equal(targets[3:], inputs[3:] + 1)
    np.testing.assert_array_equal(targets[:3, 1:], inputs[:3, 1:] + 1)
    np.testing.assert_array_equal(targets[:3, 0], inputs[:3, 1])


def test_one_pass_shows_every_window_once_and_the_next_differs() -> None:
    source = windows(bos_share=0.0)
    count = source.batches_per_pass
    firsts = np.concatenate([source.batch(index)[0][:, 0] for index in range(count)])
    assert len(set(firsts)) == len(firsts)
    assert not np.array_equal(source.batch(0)[0], source.batch(count)[0])


def test_too_short_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="give a longer text"):
        windows(stream=np.arange(30, dtype=np.uint16))
