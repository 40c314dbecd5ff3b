"""How gradients and parameters travel between a parameter server and its workers.

`Transport` is the whole of it: one mini-batch's gradient sums, or the validation part's sums, the same bits whoever
computed them. `local` computes in the caller's own process; a `gang` shares memory with the workers of its node
(`node_gang`, `peer`; on their side `serving`) and asks other nodes through Ray (`ray_nodes`).
"""

from workers.transport.base import Transport, WorkersLost

__all__ = ["Transport", "WorkersLost"]
