"""What modules ask of their arguments: one clear line for whatever breaks a rule.

Nothing is repaired here; an array comes back as it went in. No units.
"""

import math

import array_api_compat as compat
import numpy as np


def namespace(**arrays):
    """The array namespace that the named floating-point arrays share.

    Errors: TypeError for anything but NumPy arrays or torch tensors of a floating dtype, and for
    a mixture of the two.
    """
    for name, array in arrays.items():
        if not compat.is_array_api_obj(array):
            kind = type(array).__name__
            raise TypeError(f"{name} must be a NumPy array or a torch tensor; got {kind}")
        if not compat.array_namespace(array).isdtype(array.dtype, "real floating"):
            raise TypeError(f"{name} must hold floating-point numbers; got dtype {array.dtype}")
    try:
        return compat.array_namespace(*arrays.values())
    except TypeError:
        kinds = " and ".join(type(array).__module__.split(".")[0] for array in arrays.values())
        raise TypeError(f"{' and '.join(arrays)} must come from one library; got {kinds}") from None


def finite(**arrays):
    """Errors: ValueError that names the first array with a NaN or an infinity, and the value."""
    for name, array in arrays.items():
        good = compat.array_namespace(array).isfinite(array)
        if not bool(good.all()):
            raise ValueError(f"{name} must be finite; got {float(array[~good][0])}")


def logits_namespace(logits, **others):
    """The namespace of logits [..., V] and of arrays that broadcast with them, all checked.

    Errors: those of `namespace` and `finite`; ValueError for a missing or empty last axis and for
    shapes that do not fit.
    """
    xp = namespace(logits=logits, **others)
    if logits.ndim < 1 or logits.shape[-1] < 1:
        raise ValueError(f"logits must have the actions on the last axis; got shape {logits.shape}")
    for name, array in others.items():
        if array.ndim < 1 or array.shape[-1] != logits.shape[-1]:
            raise ValueError(
                f"{name} must have {logits.shape[-1]} actions on its last axis, as logits have; "
                f"got shape {tuple(array.shape)}"
            )
        broadcast(**{"logits": logits, name: array})
    finite(logits=logits, **others)
    return xp


def broadcast(**arrays):
    """Errors: ValueError when the shapes of the named arrays do not broadcast."""
    shapes = [tuple(array.shape) for array in arrays.values()]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        text = " and ".join(map(str, shapes))
        raise ValueError(f"{' and '.join(arrays)} must broadcast; got shapes {text}") from None


def chosen(xp, logits, token):
    """Indices of tokens, ready for `take_along_axis` on the last axis of logits.

    Errors: TypeError when they are no whole numbers; ValueError when one is outside 0..V-1 or the
    shape is not that of the leading axes of logits.
    """
    if isinstance(token, (int, np.integer)) and not isinstance(token, bool):
        token = xp.full(logits.shape[:-1], int(token), device=compat.device(logits))
    if not compat.is_array_api_obj(token) or not xp.isdtype(token.dtype, "integral"):
        kind = getattr(token, "dtype", type(token).__name__)
        raise TypeError(f"token must be whole numbers, an index into the actions; got {kind}")
    if tuple(token.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"token must have the shape {tuple(logits.shape[:-1])} of the leading axes of logits; "
            f"got {tuple(token.shape)}"
        )
    outside = (token < 0) | (token >= logits.shape[-1])
    if bool(outside.any()):
        bad = int(token[outside][0])
        raise ValueError(f"token must lie in 0..{logits.shape[-1] - 1}; got {bad}")
    return xp.astype(token, xp.int64)[..., None]


def number(name, value, rule, holds):
    """A plain number that obeys a rule, such as number("order", 2, "must be > 0", lambda v: v > 0).

    Errors: TypeError when it is no number; ValueError when it breaks the rule.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{name} must be a number; got {type(value).__name__}")
    if math.isnan(value) or not holds(value):
        raise ValueError(f"{name} {rule}; got {value!r}")
    return float(value)


def whole(name, value, lowest):
    """A whole number not below `lowest`, as it is.

    Errors: ValueError when it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < lowest:
        raise ValueError(f"{name} must be a whole number >= {lowest}; got {value!r}")
    return value


def positive(name, value):
    """A plain finite number > 0, as a float.

    Errors: ValueError when it is none.
    """
    if isinstance(value, bool) or not (isinstance(value, (int, float, np.number)) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a number > 0; got {value!r}")
    return float(value)
