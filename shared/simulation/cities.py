"""The world the simulated cards live in: cities with place, time zone offset and share of the cardholders."""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_KM = 6371.0088


class City(NamedTuple):
    """A city; `utc_offset` in hours (standard time all year), `weight` in relative numbers of cardholders."""

    name: str
    country: str
    latitude: float
    longitude: float
    utc_offset: float
    weight: float


CITIES: tuple[City, ...] = (
    City("Amsterdam", "NL", 52.3676, 4.9041, 1, 3.0),
    City("Athens", "GR", 37.9838, 23.7275, 2, 1.2),
    City("Auckland", "NZ", -36.8509, 174.7645, 12, 0.8),
    City("Bangkok", "TH", 13.7563, 100.5018, 7, 1.5),
    City("Barcelona", "ES", 41.3874, 2.1686, 1, 2.6),
    City("Beijing", "CN", 39.9042, 116.4074, 8, 1.6),
    City("Berlin", "DE", 52.5200, 13.4050, 1, 4.0),
    City("Bogota", "CO", 4.7110, -74.0721, -5, 1.0),
    City("Brussels", "BE", 50.8503, 4.3517, 1, 2.0),
    City("Bucharest", "RO", 44.4268, 26.1025, 2, 1.4),
    City("Budapest", "HU", 47.4979, 19.0402, 1, 1.4),
    City("Buenos Aires", "AR", -34.6037, -58.3816, -3, 1.4),
    City("Cairo", "EG", 30.0444, 31.2357, 2, 1.0),
    City("Cape Town", "ZA", -33.9249, 18.4241, 2, 0.9),
    City("Chicago", "US", 41.8781, -87.6298, -6, 2.4),
    City("Copenhagen", "DK", 55.6761, 12.5683, 1, 1.6),
    City("Dallas", "US", 32.7767, -96.7970, -6, 1.9),
    City("Delhi", "IN", 28.6139, 77.2090, 5.5, 1.8),
    City("Dubai", "AE", 25.2048, 55.2708, 4, 1.2),
    City("Dublin", "IE", 53.3498, -6.2603, 0, 1.6),
    City("Frankfurt", "DE", 50.1109, 8.6821, 1, 2.2),
    City("Hamburg", "DE", 53.5511, 9.9937, 1, 2.2),
    City("Helsinki", "FI", 60.1699, 24.9384, 2, 1.2),
    City("Hong Kong", "HK", 22.3193, 114.1694, 8, 1.5),
    City("Istanbul", "TR", 41.0082, 28.9784, 3, 1.8),
    City("Jakarta", "ID", -6.2088, 106.8456, 7, 1.3),
    City("Johannesburg", "ZA", -26.2041, 28.0473, 2, 1.0),
    City("Lagos", "NG", 6.5244, 3.3792, 1, 0.9),
    City("Lima", "PE", -12.0464, -77.0428, -5, 1.0),
    City("Lisbon", "PT", 38.7223, -9.1393, 0, 1.6),
    City("London", "GB", 51.5072, -0.1276, 0, 4.5),
    City("Los Angeles", "US", 34.0522, -118.2437, -8, 2.6),
    City("Lyon", "FR", 45.7640, 4.8357, 1, 1.6),
    City("Madrid", "ES", 40.4168, -3.7038, 1, 3.0),
    City("Manila", "PH", 14.5995, 120.9842, 8, 1.2),
    City("Melbourne", "AU", -37.8136, 144.9631, 10, 1.3),
    City("Mexico City", "MX", 19.4326, -99.1332, -6, 1.8),
    City("Miami", "US", 25.7617, -80.1918, -5, 1.6),
    City("Milan", "IT", 45.4642, 9.1900, 1, 2.4),
    City("Montreal", "CA", 45.5019, -73.5674, -5, 1.3),
    City("Mumbai", "IN", 19.0760, 72.8777, 5.5, 1.8),
    City("Munich", "DE", 48.1351, 11.5820, 1, 2.4),
    City("Nairobi", "KE", -1.2921, 36.8219, 3, 0.8),
    City("New York", "US", 40.7128, -74.0060, -5, 3.6),
    City("Oslo", "NO", 59.9139, 10.7522, 1, 1.3),
    City("Paris", "FR", 48.8566, 2.3522, 1, 4.2),
    City("Prague", "CZ", 50.0755, 14.4378, 1, 1.6),
    City("Rome", "IT", 41.9028, 12.4964, 1, 2.4),
    City("San Francisco", "US", 37.7749, -122.4194, -8, 2.0),
    City("Santiago", "CL", -33.4489, -70.6693, -4, 1.1),
    City("Sao Paulo", "BR", -23.5505, -46.6333, -3, 2.2),
    City("Seattle", "US", 47.6062, -122.3321, -8, 1.5),
    City("Seoul", "KR", 37.5665, 126.9780, 9, 1.8),
    City("Shanghai", "CN", 31.2304, 121.4737, 8, 1.7),
    City("Singapore", "SG", 1.3521, 103.8198, 8, 1.6),
    City("Stockholm", "SE", 59.3293, 18.0686, 1, 1.6),
    City("Sydney", "AU", -33.8688, 151.2093, 10, 1.6),
    City("Tokyo", "JP", 35.6762, 139.6503, 9, 2.4),
    City("Toronto", "CA", 43.6532, -79.3832, -5, 1.8),
    City("Vienna", "AT", 48.2082, 16.3738, 1, 1.8),
    City("Warsaw", "PL", 52.2297, 21.0122, 1, 2.0),
    City("Zurich", "CH", 47.3769, 8.5417, 1, 1.6),
)

LATITUDE: npt.NDArray[np.float64] = np.array([city.latitude for city in CITIES])
LONGITUDE: npt.NDArray[np.float64] = np.array([city.longitude for city in CITIES])
UTC_OFFSET_MS: npt.NDArray[np.int64] = np.array([int(city.utc_offset * 3_600_000) for city in CITIES])
CUMULATIVE_WEIGHT: npt.NDArray[np.float64] = np.cumsum([city.weight for city in CITIES]) / sum(
    city.weight for city in CITIES
)


@cache
def distances_km() -> npt.NDArray[np.float64]:
    """Return the great-circle distances between all cities, shape (cities, cities), by the haversine formula."""
    latitude, longitude = np.radians(LATITUDE), np.radians(LONGITUDE)
    half = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1))))
