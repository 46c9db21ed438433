"""The pieces that every vocabulary begins with."""

PAD, UNK, BOS, EOS = 0, 1, 2, 3  # padding, unknown, beginning and end of sentence
