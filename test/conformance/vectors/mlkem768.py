"""ML-KEM-768 (FIPS 203) in plain integers: only what opening needs. Not for secrets that matter."""

import hashlib
from functools import lru_cache

Q = 3329
N = 256
K = 3
NOISE = 2  # η₁ and η₂
DU, DV = 10, 4


def _reversed_bits(number):
    return int(f"{number:07b}"[::-1], 2)


ZETAS = [pow(17, _reversed_bits(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * _reversed_bits(i) + 1, Q) for i in range(128)]


def _ntt(f):
    f, i, size = list(f), 1, 128
    while size >= 2:
        for start in range(0, N, 2 * size):
            zeta = ZETAS[i]
            i += 1
            for j in range(start, start + size):
                t = zeta * f[j + size] % Q
                f[j + size] = (f[j] - t) % Q
                f[j] = (f[j] + t) % Q
        size //= 2
    return f


def _inverse_ntt(f):
    f, i, size = list(f), 127, 2
    while size <= 128:
        for start in range(0, N, 2 * size):
            zeta = ZETAS[i]
            i -= 1
            for j in range(start, start + size):
                t = f[j]
                f[j] = (t + f[j + size]) % Q
                f[j + size] = zeta * (f[j + size] - t) % Q
        size *= 2
    return [value * 3303 % Q for value in f]


def _multiply(f, g):
    product = []
    for i in range(128):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        product.append((a0 * b0 + a1 * b1 * GAMMAS[i]) % Q)
        product.append((a0 * b1 + a1 * b0) % Q)
    return product


def _add(f, g):
    return [(a + b) % Q for a, b in zip(f, g)]


def _dot(fs, gs):
    total = [0] * N
    for f, g in zip(fs, gs):
        total = _add(total, _multiply(f, g))
    return total


def _encode(f, bits):
    return sum(value << (bits * i) for i, value in enumerate(f)).to_bytes(32 * bits, "little")


def _decode(data, bits):
    number, mask = int.from_bytes(data, "little"), (1 << bits) - 1
    return [(number >> (bits * i)) & mask for i in range(N)]


def _decode_all(data, bits):
    return [_decode(data[i : i + 32 * bits], bits) for i in range(0, len(data), 32 * bits)]


def _compress(f, bits):
    return [((value << (bits + 1)) + Q) // (2 * Q) % (1 << bits) for value in f]


def _decompress(f, bits):
    return [(value * Q * 2 + (1 << bits)) >> (bits + 1) for value in f]


def _sample_uniform(seed):
    stream, f = hashlib.shake_128(seed).digest(1344), []
    for i in range(0, len(stream), 3):
        low, middle, high = stream[i : i + 3]
        for value in (low + 256 * (middle % 16), middle // 16 + 16 * high):
            if value < Q and len(f) < N:
                f.append(value)
    assert len(f) == N
    return f


def _sample_noise(seed, index):
    stream = hashlib.shake_256(seed + bytes([index])).digest(64 * NOISE)
    number = int.from_bytes(stream, "little")
    bits = [(number >> i) & 1 for i in range(2 * NOISE * N)]
    return [
        (bits[4 * i] + bits[4 * i + 1] - bits[4 * i + 2] - bits[4 * i + 3]) % Q for i in range(N)
    ]


@lru_cache(maxsize=None)
def _matrix(rho):
    return [[_sample_uniform(rho + bytes([j, i])) for j in range(K)] for i in range(K)]


@lru_cache(maxsize=None)
def key_pair(d, z):
    """Gives the encapsulation key's bytes and what decapsulating needs."""
    seeds = hashlib.sha3_512(d + bytes([K])).digest()
    rho, sigma = seeds[:32], seeds[32:]
    secret = [_ntt(_sample_noise(sigma, i)) for i in range(K)]
    noise = [_ntt(_sample_noise(sigma, K + i)) for i in range(K)]
    public = [_add(_dot(row, secret), noise[i]) for i, row in enumerate(_matrix(rho))]
    encapsulation_key = b"".join(_encode(f, 12) for f in public) + rho
    return encapsulation_key, (secret, encapsulation_key, z)


def is_encapsulation_key(data):
    """FIPS 203 §7.2: its length, and every value below q."""
    values = [value for f in _decode_all(data[: 384 * K], 12) for value in f]
    return len(data) == 384 * K + 32 and all(value < Q for value in values)


def _encrypt(encapsulation_key, message, randomness):
    public = _decode_all(encapsulation_key[:-32], 12)
    matrix = _matrix(encapsulation_key[-32:])
    y = [_ntt(_sample_noise(randomness, i)) for i in range(K)]
    ciphertext = b""
    for i in range(K):
        column = [matrix[j][i] for j in range(K)]
        u = _add(_inverse_ntt(_dot(column, y)), _sample_noise(randomness, K + i))
        ciphertext += _encode(_compress(u, DU), DU)
    v = _add(_inverse_ntt(_dot(public, y)), _sample_noise(randomness, 2 * K))
    v = _add(v, _decompress(_decode(message, 1), 1))
    return ciphertext + _encode(_compress(v, DV), DV)


def decapsulate(key, ciphertext):
    secret, encapsulation_key, z = key
    u_bytes, v_bytes = ciphertext[: 32 * DU * K], ciphertext[32 * DU * K :]
    u = [_ntt(_decompress(f, DU)) for f in _decode_all(u_bytes, DU)]
    masked = _inverse_ntt(_dot(secret, u))
    v = _decompress(_decode(v_bytes, DV), DV)
    message = _encode(_compress([(a - b) % Q for a, b in zip(v, masked)], 1), 1)
    bound = hashlib.sha3_512(message + hashlib.sha3_256(encapsulation_key).digest()).digest()
    if _encrypt(encapsulation_key, message, bound[32:]) == ciphertext:
        return bound[:32]
    return hashlib.shake_256(z + ciphertext).digest(32)
