"""Where the time of a network goes."""

from torch import nn

from mmsrnas.costs import Cost

__all__ = ["operator_table"]


def operator_table(cost: Cost, network: nn.Module, limit: int = 10) -> str:
    """The operators of a network with their predicted time, worst first.

    Args:
        cost: A cost of the type ``'latency'``; operators that its table lacks are measured.
        network: The network.
        limit: Rows at most; what is left is summed up in the last.

    Returns:
        Markdown.
    """
    total = cost(network)
    rows = cost.table.breakdown(network)
    lines = ["| ms | share | calls | operator |", "|---:|---:|---:|---|"]
    lines += [_row(ms, total, calls, f"`{key}`") for key, calls, ms in rows[:limit]]
    if rest := rows[limit:]:
        ms, calls = sum(row[2] for row in rest), sum(row[1] for row in rest)
        lines.append(_row(ms, total, calls, f"{len(rest)} others"))
    lines.append(_row(total, total, sum(row[1] for row in rows), f"predicted on {cost.target}"))
    return "\n".join(lines)


def _row(milliseconds: float, total: float, calls: int, name: str) -> str:
    share = milliseconds / total if total else 0.0
    return f"| {milliseconds:.2f} | {share:.0%} | {calls} | {name} |"
