"""`make golden`: keeps what the present code writes, beside what earlier releases wrote."""

from tests.golden.examples import FORMS
from tests.golden.forms import FOLDER, keep


def main() -> None:
    """Prints what was added."""
    FOLDER.mkdir(exist_ok=True)
    added = {name: new for name, form in FORMS.items() if (new := keep(name, form))}
    for name, new in added.items():
        print(f"{name}: {new} new")
    print(f"{sum(added.values())} forms added to {FOLDER.name}/")


if __name__ == "__main__":
    main()
