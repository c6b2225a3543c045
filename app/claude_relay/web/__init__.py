"""How we speak HTTP. No endpoint family is named in here."""
