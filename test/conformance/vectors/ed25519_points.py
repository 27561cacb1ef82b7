"""Points of edwards25519 in plain integers (RFC 8032 §5.1)."""

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

# Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z.
NEUTRAL = (0, 1, 1, 0)


def decode(data):
    """The point of a canonical encoding (RFC 8032 §5.1.3); None if there is none."""
    encoded = int.from_bytes(data, "little")
    y, sign = encoded % 2**255, encoded >> 255
    if len(data) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_OF_MINUS_1 % P
    if x * x % P != square or (x == 0 and sign == 1):
        return None
    if x % 2 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def add(left, right):
    a = (left[1] - left[0]) * (right[1] - right[0]) % P
    b = (left[1] + left[0]) * (right[1] + right[0]) % P
    c = 2 * left[3] * right[3] * D % P
    d = 2 * left[2] * right[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(factor, point):
    product = NEUTRAL
    while factor > 0:
        if factor % 2 == 1:
            product = add(product, point)
        point = add(point, point)
        factor //= 2
    return product


def is_neutral(point):
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0


def is_of_small_order(point):
    return is_neutral(multiply(8, point))


def is_in_prime_subgroup(point):
    return is_neutral(multiply(L, point))
