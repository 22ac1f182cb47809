"""What a batch does to its pictures: stain, blur, haze, bleed-through, lamp, camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from screenbook.simulate.images.spec import CHANNELS, ImageSpec

BLEED = (("ER", "RNA"), ("RNA", "ER"), ("actin", "Golgi"), ("Golgi", "actin"))
"""Channels whose light leaks from the first into the second: neighbours in the spectrum."""

EXPOSURE = 100.0
"""Grey level of a stain of brightness 1 where light and camera gain are 1."""

PER_CHANNEL = ("gain", "offset", "psf_um", "haze", "loose", "gamma", "illumination_depth")
"""Numbers of a batch that each channel has its own of."""


@dataclass(frozen=True)
class Optics:
    """All that the fields of one batch share; arrays have one entry for each channel.

    Attributes
    ----------
    gain : ndarray
        Stain and exposure.
    offset : ndarray
        Of the camera, grey levels.
    psf_um : ndarray
        SD of the blur.
    haze, haze_um : ndarray, float
        Share of the light that comes from far off, and how far (SD).
    shift_um : ndarray, shape (c, 2)
        Misalignment in y and x.
    bleed : ndarray, shape (len(BLEED),)
        Share of a channel's light that leaks into another.
    loose : ndarray
        Share of the stain that is bound to nothing and fills cells evenly.
    gamma : ndarray
        Of the response curve.
    illumination_depth : ndarray
        How much darker than the brightest point a corner of the field is.
    illumination_centre : ndarray, shape (2,)
        Of the light, y and x; the field is from -1 to 1.
    photons : float
        Caught at grey level 100.
    read_noise : float
        Grey levels, SD.
    density, size : float
        Factors on the seeding density, and on the size of cells after fixation.
    """

    gain: np.ndarray
    offset: np.ndarray
    psf_um: np.ndarray
    haze: np.ndarray
    haze_um: float
    shift_um: np.ndarray
    bleed: np.ndarray
    loose: np.ndarray
    gamma: np.ndarray
    illumination_depth: np.ndarray
    illumination_centre: np.ndarray
    photons: float
    read_noise: float
    density: float
    size: float

    def table(self) -> dict[str, float]:
        """All numbers by name: ``batch_gain_DNA`` and so on."""
        row: dict[str, float] = {}
        for name in PER_CHANNEL:
            for channel, value in zip(CHANNELS, getattr(self, name), strict=True):
                row[f"batch_{name}_{channel}"] = float(value)
        for channel, (y, x) in zip(CHANNELS, self.shift_um, strict=True):
            row |= {
                f"batch_shift_y_um_{channel}": float(y),
                f"batch_shift_x_um_{channel}": float(x),
            }
        for (source, into), value in zip(BLEED, self.bleed, strict=True):
            row[f"batch_bleed_{source}_into_{into}"] = float(value)
        for axis, value in zip("yx", self.illumination_centre, strict=True):
            row[f"batch_illumination_centre_{axis}"] = float(value)
        for name in ("haze_um", "photons", "read_noise", "density", "size"):
            row[f"batch_{name}"] = float(getattr(self, name))
        return row


def draw_optics(spec: ImageSpec, rng: np.random.Generator) -> Optics:
    """Draw a batch.

    Parameters
    ----------
    spec : ImageSpec
    rng : Generator
        Of this batch; the same numbers are drawn whatever the strengths are.
    """
    c, much = len(CHANNELS), spec.batch_strength
    common, own = rng.normal(size=5), rng.normal(size=(6, c))
    uniform = rng.uniform(size=(4, c))
    corner = rng.uniform(-0.45, 0.45, size=2)
    return Optics(
        gain=np.exp(0.35 * spec.gain_strength * own[0]),
        offset=6 + 4 * spec.gain_strength * uniform[0],
        psf_um=1.1 * np.exp(much * (0.38 * common[0] + 0.20 * own[1])),
        haze=np.clip(0.18 + much * 0.4 * (uniform[1] - 0.4), 0.0, 0.9),
        haze_um=14.0,
        shift_um=much * 0.5 * own[2:4].T,
        bleed=np.clip(0.15 + much * 0.15 * own[4, : len(BLEED)], 0.0, 1.0),
        loose=np.clip(0.15 + much * 0.4 * (uniform[3] - 0.37), 0.0, 0.9),
        gamma=np.exp(much * (0.20 * common[1] + 0.16 * own[5])),
        illumination_depth=spec.illumination * (0.1 + 0.3 * uniform[2]),
        illumination_centre=corner,
        photons=float(260 * np.exp(0.5 * much * common[2])),
        read_noise=2.0,
        density=float(np.exp(0.18 * much * common[3])),
        size=float(np.exp(0.05 * much * common[4])),
    )


def photograph(
    light: np.ndarray, optics: Optics, spec: ImageSpec, rng: np.random.Generator
) -> np.ndarray:
    """Turn the light of all stains into a picture.

    Parameters
    ----------
    light : ndarray of float32, shape (c, side, side)
        Of a canvas somewhat larger than the field; 1 is a well stained structure.
    optics : Optics
    spec : ImageSpec
    rng : Generator
        Of this field.

    Returns
    -------
    ndarray of uint8, shape (c, size_px, size_px)
    """
    side, s = light.shape[-1], spec.size_px
    seen = _through_lens(light, optics, spec.um_per_px)
    margin = (side - s) // 2
    seen = seen[:, margin : margin + s, margin : margin + s]
    leaked = seen.copy()
    for (source, into), share in zip(BLEED, optics.bleed, strict=True):
        leaked[CHANNELS.index(into)] += np.float32(share) * seen[CHANNELS.index(source)]
    leaked *= _illumination(optics, s) * optics.gain[:, None, None].astype(np.float32)
    np.maximum(leaked, 1e-4, out=leaked)
    grey = EXPOSURE * leaked ** optics.gamma[:, None, None].astype(np.float32)
    noise = rng.standard_normal(grey.shape, dtype=np.float32)
    variance = grey * np.float32(100 / optics.photons) + np.float32(optics.read_noise**2)
    grey += noise * np.sqrt(variance) + optics.offset[:, None, None].astype(np.float32)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def _through_lens(light: np.ndarray, optics: Optics, um_per_px: float) -> np.ndarray:
    """Blur, haze and misalignment, all at once: one factor for each frequency."""
    key = (optics.psf_um, optics.haze, optics.shift_um)
    transfer = _transfer(
        tuple(np.concatenate([np.ravel(k) for k in key])),
        optics.haze_um,
        um_per_px,
        light.shape[-1],
    )
    spectrum = fft.rfft2(light, axes=(1, 2))
    return fft.irfft2(spectrum * transfer, s=light.shape[1:], axes=(1, 2))


@lru_cache(maxsize=64)
def _transfer(
    numbers: tuple[float, ...], haze_um: float, um_per_px: float, side: int
) -> np.ndarray:
    c = len(CHANNELS)
    psf, haze = np.array(numbers[:c]), np.array(numbers[c : 2 * c])
    shift = np.array(numbers[2 * c :]).reshape(c, 2)
    fy = fft.fftfreq(side)[:, None] / um_per_px  # cycles per um
    fx = fft.rfftfreq(side)[None, :] / um_per_px
    f2 = fy**2 + fx**2

    def gaussian(sd: np.ndarray | float) -> np.ndarray:
        return np.exp(-2 * np.pi**2 * np.asarray(sd)[..., None, None] ** 2 * f2)

    share = haze[:, None, None]
    blur = (1 - share) * gaussian(psf) + share * gaussian(haze_um)
    phase = -2j * np.pi * (fy * shift[:, :1, None] + fx * shift[:, 1:, None])
    return (blur * np.exp(phase)).astype(np.complex64)


def _illumination(optics: Optics, s: int) -> np.ndarray:
    at = np.linspace(-1, 1, s, dtype=np.float32)
    y, x = np.meshgrid(at, at, indexing="ij")
    r2 = (y - optics.illumination_centre[0]) ** 2 + (x - optics.illumination_centre[1]) ** 2
    return 1 - optics.illumination_depth[:, None, None].astype(np.float32) * np.minimum(r2 / 2, 1.2)
