"""The demo of the search by reinforcement learning runs, and shows both sides."""

from mmsrnas.genotypes import load_genotype


def test_fast(tmp_path, run_demo):
    printed = run_demo("demo_hnas")
    assert load_genotype(tmp_path / "work_dirs/demo_hnas/top1.json", "hnas").num_cells == 4
    assert (tmp_path / "work_dirs/demo_hnas/pareto.png").is_file()
    table = {line.split()[0]: line.split() for line in printed.splitlines() if line.strip()}
    assert table["policy"][1] == table["random"][1] == "3"
