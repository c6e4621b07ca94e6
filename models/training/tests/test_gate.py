"""What a card may claim."""

import unittest

from detectors import gate


def rows(name: str, low: float | None, control: tuple[float, float] | None = (0.4, 0.6)) -> list[dict]:
    made = [{"dataset": name, "metric": "macro paired AUC", "value": 0.8, **({} if low is None else {"low": low})}]
    return made + ([{"dataset": name, "metric": "metadata-only control AUC", "value": 0.5, "low": control[0], "high": control[1]}] if control else [])


class Status(unittest.TestCase):
    def test_status_by_rows(self) -> None:
        other, own = "made elsewhere", "made here"
        cases = [
            ("all pass", rows(other, 0.61) + rows(own, 0.7), "validated", ""),
            ("on the edge", rows(other, 0.6) + rows(own, 0.7), "demonstration", "made elsewhere: the lower end"),
            ("own generators fail", rows(other, 0.7) + rows(own, 0.5), "demonstration", "made here: the lower end"),
            ("metadata tell", rows(other, 0.7, (0.51, 0.7)) + rows(own, 0.7), "demonstration", "does not contain"),
            ("metadata of own fakes do not matter", rows(other, 0.7) + rows(own, 0.7, (0.6, 0.7)), "validated", ""),
            ("no control", rows(other, 0.7, None) + rows(own, 0.7), "demonstration", "does not contain"),
            ("no interval", rows(other, None) + rows(own, 0.7), "demonstration", "is unknown"),
            ("nothing from elsewhere", rows(own, 0.9), "demonstration", "no paired set"),
            ("nothing at all", [], "demonstration", "no paired set"),
        ]
        for what, found, expected, reason in cases:
            with self.subTest(case=what):
                status, reasons = gate.status(found, {own}, {other})
                self.assertEqual(status, expected)
                self.assertIn(reason, " ".join(reasons))
                self.assertEqual(bool(reasons), expected == "demonstration")


if __name__ == "__main__":
    unittest.main()
