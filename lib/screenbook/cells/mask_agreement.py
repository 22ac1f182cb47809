"""How well a segmentation agrees with masks that were drawn by others."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from screenbook.errors import InputError


def mask_agreement(
    labels: np.ndarray, mask: np.ndarray, *, whole_only: bool = False, least_iou: float = 0.5
) -> dict[str, float]:
    """Compare the objects of one field with a mask.

    Pixels: Dice's coefficient, twice what both have over the sum of what each has. Objects: they
    match if they share more than `least_iou` of their union, one with one; F1 is twice the matches
    over the sum of both counts (Caicedo et al. 2019, 10.1038/s41592-019-0612-7). In a mask without
    numbers, what hangs together is one object, so touching cells count as one there.

    Parameters
    ----------
    labels : ndarray of int, shape (y, x)
        0 is ground.
    mask : ndarray, shape (y, x)
        Numbers of objects, or two values of which the smaller is ground.
    whole_only : bool
        Leave out objects of `labels` that touch the border of the field, as many masks do.
    least_iou : float

    Returns
    -------
    dict of str to float
        ``dice``, ``n_found``, ``n_mask``, ``n_matched``, ``f1``; NaN where both are empty.

    Raises
    ------
    InputError
        If the sizes differ.
    """
    labels, mask = np.asarray(labels), np.asarray(mask)
    if labels.shape != mask.shape or labels.ndim != 2:
        raise InputError(
            f"mask of {' x '.join(map(str, mask.shape))} px for a field of "
            f"{' x '.join(map(str, labels.shape))}; bring the mask of this field, of one plane"
        )
    if len(np.unique(mask)) <= 2:
        mask = ndimage.label(mask > mask.min(), np.ones((3, 3)))[0]
    if whole_only:
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        labels = np.where(np.isin(labels, edge), 0, labels)
    _, ours = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    _, theirs = np.unique(np.append(mask.ravel(), 0), return_inverse=True)
    ours, theirs = ours[:-1], theirs[:-1]
    n, m = int(ours.max(initial=0)), int(theirs.max(initial=0))
    shared = np.bincount(ours * (m + 1) + theirs, minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    sizes = shared.sum(axis=1)[1:, None] + shared.sum(axis=0)[None, 1:]
    both = shared[1:, 1:]
    overlap = both / np.maximum(sizes - both, 1)
    match = overlap > least_iou
    matched = int(match[linear_sum_assignment(match, maximize=True)].sum())
    area = int((ours > 0).sum() + (theirs > 0).sum())
    return {
        "dice": 2 * float(both.sum()) / area if area else np.nan,
        "n_found": n,
        "n_mask": m,
        "n_matched": matched,
        "f1": 2 * matched / (n + m) if n + m else np.nan,
    }
