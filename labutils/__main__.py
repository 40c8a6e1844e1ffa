"""`python -m labutils`: what a bug report needs, and what to do about anything missing."""

from labutils.runtime import report


def main():
    rows = report()
    width = max(len(name) for name, _, _ in rows)
    for name, value, todo in rows:
        print(f"{name:<{width}}  {value}" + (f"   -> {todo}" if todo else ""))


if __name__ == "__main__":
    main()
