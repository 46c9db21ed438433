"""nmt: recurrent machine translation.

Tensors end in their shape. The dimensions:

B  sentences of a batch          E  embedding size
S  source positions              H  hidden size
T  target positions              L  layers
K  beam size                     V  pieces of the vocabulary
N  rows = B * K                  G  gate rows of a cell (4H for an LSTM)
"""

__version__ = "0.1.0"
