"""Measures Python's side of the benchmarks: one JSON request a line on stdin, one JSON answer a line on stdout.

    echo '{"name": "pool.apply"}' | python3 tests/bench/peer.py

Spawn runs this file again in every child, uncached, so all but the loop lives in peer_rows.py: else its compilation would be on Python's clock.
"""

if __name__ == "__main__":
    import json
    import sys

    from peer_rows import answer

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except json.JSONDecodeError as error:
            reply = {"error": f"Cannot read a request: {error}"}
        print(json.dumps(reply), flush=True)
