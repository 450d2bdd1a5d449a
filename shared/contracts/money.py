"""Money as integer minor units, by ISO 4217."""

from decimal import Decimal

MAX_AMOUNT_MINOR = 10**12
"""Largest amount of one transaction, in minor units (10 billion of a two-decimal currency)."""

_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_EXPONENTS = {
    **dict.fromkeys(_CODES.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}


def exponent(currency: str) -> int | None:
    """Return the number of decimals of an ISO 4217 currency, or None for an unknown code."""
    return _EXPONENTS.get(currency)


def to_minor_units(amount: Decimal, currency: str) -> int:
    """Convert an amount in major units to integer minor units, exactly.

    Raises:
        ValueError: The amount is negative, above `MAX_AMOUNT_MINOR`, or has more decimals than the currency.
    """
    decimals = _EXPONENTS[currency]
    if not 0 <= amount <= MAX_AMOUNT_MINOR:
        raise ValueError(f"must be between 0 and {MAX_AMOUNT_MINOR} minor units")
    scaled = amount.scaleb(decimals)
    minor = int(scaled)
    if minor != scaled:
        raise ValueError(f"has more than the {decimals} decimals of {currency}")
    if minor > MAX_AMOUNT_MINOR:
        raise ValueError(f"must be between 0 and {MAX_AMOUNT_MINOR} minor units")
    return minor


def to_major_units(minor: int, currency: str) -> str:
    """Write minor units as a decimal in major units: 1234 EUR cents are ``"12.34"``."""
    decimals = _EXPONENTS[currency]
    if decimals == 0:
        return str(minor)
    return f"{minor // 10**decimals}.{minor % 10**decimals:0{decimals}d}"
