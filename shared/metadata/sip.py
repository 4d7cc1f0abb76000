"""What LiveKit says of a phone call: the attributes `sip.*` of a SIP participant."""

from collections.abc import Iterable, Mapping

from shared.metadata.phone import to_e164

NUMBER = "sip.phoneNumber"


def called_from(attributes: Mapping[str, str]) -> str | None:
    """The caller's number as E.164, or `None` where it is withheld; trunks leave the + out."""
    number = attributes.get(NUMBER, "")
    return to_e164(number) or to_e164(f"+{number}")


def sip_fields(names: Iterable[str], attributes: Mapping[str, str]) -> dict[str, str | None]:
    """The attributes that a contract has a field for: `sip.trunkPhoneNumber` is `sip_trunk_phone_number`."""
    given = {
        name.replace(".", "").lower(): value
        for name, value in attributes.items()
        if name.startswith("sip.")
    }
    return {name: given.get(name.replace("_", "")) for name in names if name.startswith("sip_")}
