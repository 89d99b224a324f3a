"""What verifiers really write to check a step of a solution: blocks of code as data.

Knows nothing of the sandbox. Every block is deterministic and quick, and has the habits of language models:
far too many imports, helpers used once, asserts, brute force beside algebra, and now and then a mistake.
"""

from __future__ import annotations

__all__ = ["REALISTIC"]

REALISTIC = {
    # ---------------------------------------------------------------------------------------- arithmetic
    "clips": "april = 48\nmay = april / 2\ntotal = april + may\nprint(f'Total clips sold: {total}')",
    "babysitting": """
rate_per_minute = 12 / 60
earned = rate_per_minute * 50
print(earned)
print(earned == 10)
""",
    "percentages": """
price = 80.0
after = price * (1 - 15 / 100) * (1 + 0.07)
print("After discount and tax: ${:,.2f}".format(after))
print(round(after, 2), after > 72)
""",
    "compound interest": """
principal, rate, years = 2500, 0.045, 6
for n in (1, 4, 12):
    amount = principal * (1 + rate / n) ** (n * years)
    print(f"n={n:>2}: {amount:10.2f}")
""",
    "unit conversion": """
# Speed: 90 km/h in m/s
speed_kmh = 90
speed_ms = speed_kmh * 1000 / 3600
print(f"{speed_kmh} km/h = {speed_ms:.3f} m/s")
assert abs(speed_ms - 25) < 1e-9
""",
    "order of operations": """
print(8 + 2 * 5 - 6 / 3 ** 2)
print((8 + 2) * 5 - (6 / 3) ** 2)
print(-3 ** 2, (-3) ** 2)
""",
    "integer division": """
q, r = divmod(1234, 17)
print(q, r, 17 * q + r == 1234)
print(-7 // 2, -7 % 2, 7 // -2)
""",
    "claimed against computed": """
claimed = 342
computed = sum(i * (i + 1) for i in range(1, 10))
if computed == claimed:
    print("The step is correct.")
else:
    print(f"The step is incorrect: expected {computed}, got {claimed}")
""",
    "several people": """
people = {"Anna": 12, "Ben": 3 * 12, "Carl": 3 * 12 - 7}
for name, apples in people.items():
    print(f"{name:<5}{apples:>4}")
print("total", sum(people.values()), "most", max(people, key=people.get))
""",
    "ratios": """
from fractions import Fraction
parts = (2, 3, 7)
total = 144
shares = [Fraction(total * p, sum(parts)) for p in parts]
print(shares, [str(s) for s in shares], sum(shares))
""",
    "average speed": """
d = 120
t = d / 60 + d / 40
print('average:', 2 * d / t)
print((60 + 40) / 2 == 2 * d / t)
""",
    "floats": "print(0.1 + 0.2, 0.1 + 0.2 == 0.3, round(2.675, 2), 1e16 + 1, float('inf') > 10**400)",
    "big numbers": "n = 2 ** 200\nprint(n, len(str(n)), n % 1_000_007, sum(int(d) for d in str(n)))",
    "decimal money": """
from decimal import Decimal, ROUND_HALF_UP, getcontext
total = sum(Decimal(x) for x in ("19.99", "5.01", "0.335"))
print(total, total.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))
getcontext().prec = 30
print(Decimal(2).sqrt(), Decimal(1) / Decimal(7))
""",
    # ------------------------------------------------------------------------------------- number theory
    "gcd and lcm": """
import math
from functools import reduce
numbers = [84, 126, 210]
print(reduce(math.gcd, numbers), reduce(lambda a, b: a * b // math.gcd(a, b), numbers))
print(math.gcd(*numbers), math.lcm(*numbers))
""",
    "primes": """
def is_prime(n):
    if n < 2:
        return False
    for d in range(2, int(n ** 0.5) + 1):
        if n % d == 0:
            return False
    return True
primes = [n for n in range(100) if is_prime(n)]
print(primes, len(primes), sum(primes))
""",
    "sieve": """
limit = 1000
sieve = bytearray([1]) * (limit + 1)
sieve[0:2] = b"\\x00\\x00"
for i in range(2, int(limit ** 0.5) + 1):
    if sieve[i]:
        sieve[i * i :: i] = bytes(len(range(i * i, limit + 1, i)))
print(sum(sieve), [i for i, p in enumerate(sieve) if p][-5:])
""",
    "factors": """
import sympy
from sympy import factorint, divisors, totient, isprime, primefactors, nextprime
n = 360360
print(factorint(n), len(divisors(n)), totient(n), isprime(n + 1), primefactors(n), nextprime(n))
""",
    "modular arithmetic": """
print(pow(7, 222, 11), pow(3, -1, 26), (17 * 23) % 26)
inverse = next(x for x in range(26) if 3 * x % 26 == 1)
print(inverse, [x for x in range(12) if (5 * x - 4) % 12 == 0])
""",
    "chinese remainders": """
from sympy.ntheory.modular import crt
print(crt([3, 5, 7], [2, 3, 2]))
print(next(x for x in range(105) if x % 3 == 2 and x % 5 == 3 and x % 7 == 2))
""",
    "last digits": """
print([pow(7, k, 100) for k in range(1, 9)], pow(7, 2023, 100))
cycle = []
x = 1
while x not in cycle:
    cycle.append(x)
    x = x * 7 % 100
print(cycle, len(cycle))
""",
    "digits": """
found = [n for n in range(100, 1000) if n == sum(int(d) ** 3 for d in str(n))]
print(found)
palindromes = [n for n in range(1, 500) if str(n) == str(n)[::-1] and bin(n)[2:] == bin(n)[:1:-1]]
print(palindromes)
""",
    "bases": """
def to_base(n, b):
    digits = ""
    while n:
        n, r = divmod(n, b)
        digits = "0123456789abcdef"[r] + digits
    return digits or "0"
print(to_base(2024, 7), int(to_base(2024, 7), 7), bin(37), oct(64), hex(255), f"{37:08b}", int("ff", 16))
""",
    "perfect squares": """
import math
def is_square(n): return math.isqrt(n) ** 2 == n
squares = [(a, b) for a in range(1, 50) for b in range(a, 50) if is_square(a * a + b * b)]
print(len(squares), squares[:6])
""",
    "diophantine": """
solutions = [(x, y) for x in range(0, 100) for y in range(0, 100) if 7 * x + 11 * y == 100]
print(solutions)
from sympy.solvers.diophantine import diophantine
from sympy import symbols
x, y = symbols('x y', integer=True)
print(diophantine(7*x + 11*y - 100))
""",
    "digit sums": """
print(max(range(1, 1000), key=lambda n: sum(map(int, str(n)))))
print(sum(1 for n in range(1000) if sum(map(int, str(n))) == 10))
""",
    "fermat": """
print(all(pow(a, 12, 13) == 1 for a in range(1, 13)), [n for n in range(2, 60) if pow(2, n - 1, n) == 1])
""",
    "euclid": """
def extended_gcd(a, b):
    if b == 0:
        return a, 1, 0
    g, x, y = extended_gcd(b, a % b)
    return g, y, x - a // b * y
g, x, y = extended_gcd(240, 46)
print(g, x, y, 240 * x + 46 * y)
""",
    "trailing zeros": """
import math
n = 125
count, k = 0, n
while k:
    k //= 5
    count += k
s = str(math.factorial(n))
print(count, len(s) - len(s.rstrip('0')))
""",
    # -------------------------------------------------------------------------------------- combinatorics
    "binomials": """
import math
print(math.comb(52, 5), math.perm(10, 3), sum(math.comb(10, k) for k in range(11)) == 2**10)
""",
    "arrangements": """
from itertools import permutations
words = {''.join(p) for p in permutations('BANANA')}
import math
print(len(words), math.factorial(6) // (math.factorial(3) * math.factorial(2)))
print(sorted(words)[:3])
""",
    "committees": """
from itertools import combinations
people = [('m', i) for i in range(5)] + [('w', i) for i in range(6)]
good = [c for c in combinations(people, 4) if sum(p[0] == 'w' for p in c) >= 2]
print(len(good))
""",
    "dice": """
from itertools import product
from collections import Counter
from fractions import Fraction
sums = Counter(sum(roll) for roll in product(range(1, 7), repeat=3))
print(sums.most_common(4), Fraction(sums[10], 6**3), sum(sums.values()))
""",
    "derangements": """
from itertools import permutations
def derangements(n):
    return sum(all(p[i] != i for i in range(n)) for p in permutations(range(n)))
print([derangements(n) for n in range(1, 7)])
from sympy import subfactorial
print([subfactorial(n) for n in range(1, 7)])
""",
    "paths in a grid": """
from functools import lru_cache
@lru_cache(maxsize=None)
def paths(x, y):
    if x == 0 or y == 0:
        return 1
    return paths(x - 1, y) + paths(x, y - 1)
print(paths(4, 6), paths.cache_info().currsize)
""",
    "stars and bars": """
from itertools import product
count = sum(1 for a, b, c in product(range(11), repeat=3) if a + b + c == 10)
from math import comb
print(count, comb(12, 2))
""",
    "coins": """
def ways(amount, coins):
    table = [1] + [0] * amount
    for coin in coins:
        for value in range(coin, amount + 1):
            table[value] += table[value - coin]
    return table[amount]
print(ways(100, [1, 5, 10, 25, 50]), ways(7, (2, 4)))
""",
    "subsets": """
from itertools import chain, combinations
def powerset(items):
    items = list(items)
    return chain.from_iterable(combinations(items, r) for r in range(len(items) + 1))
print(len(list(powerset(range(10)))), sum(1 for s in powerset(range(1, 10)) if sum(s) == 15))
""",
    "inclusion and exclusion": """
n = 1000
brute = sum(1 for k in range(1, n + 1) if k % 2 and k % 3 and k % 5)
formula = n - n//2 - n//3 - n//5 + n//6 + n//10 + n//15 - n//30
print(brute, formula, brute == formula)
""",
    "partitions": """
from sympy.utilities.iterables import partitions, multiset_permutations
print(sum(1 for _ in partitions(12)), sorted(p.copy() == {} for p in partitions(3)))
print(len(list(multiset_permutations('aabb'))))
""",
    "catalan": """
from sympy import catalan, binomial, fibonacci, bell
print([catalan(n) for n in range(7)], binomial(10, 3), fibonacci(30), bell(5))
""",
    "strings without pairs": """
from itertools import product
print([sum('11' not in ''.join(s) for s in product('01', repeat=n)) for n in range(1, 10)])
""",
    "queens": """
def queens(n, row=0, cols=frozenset(), up=frozenset(), down=frozenset()):
    if row == n:
        return 1
    return sum(
        queens(n, row + 1, cols | {c}, up | {row + c}, down | {row - c})
        for c in range(n)
        if c not in cols and row + c not in up and row - c not in down
    )
print([queens(n) for n in range(1, 8)])
""",
    # --------------------------------------------------------------------------------------- probability
    "without replacement": """
from fractions import Fraction
p = Fraction(4, 52) * Fraction(3, 51)
print(p, float(p), f"{float(p):.4%}")
""",
    "expected value": """
from fractions import Fraction as F
values = {1: F(1, 2), 2: F(1, 3), 6: F(1, 6)}
mean = sum(v * p for v, p in values.items())
var = sum(p * (v - mean) ** 2 for v, p in values.items())
print(mean, var, sum(values.values()) == 1)
""",
    "binomial distribution": """
from scipy.stats import binom, norm
from math import comb
p = sum(comb(10, k) * 0.3**k * 0.7**(10 - k) for k in range(4))
print(round(p, 6), round(binom.cdf(3, 10, 0.3), 6), round(norm.cdf(1.96), 4))
""",
    "simulation": """
import random
random.seed(42)
n = 2000
hits = sum(random.random() ** 2 + random.random() ** 2 <= 1 for _ in range(n))
print(4 * hits / n, random.choice('abc'), random.sample(range(10), 3))
""",
    "simulation with numpy": """
import numpy as np
rng = np.random.default_rng(seed=0)
rolls = rng.integers(1, 7, size=(1000, 2)).sum(axis=1)
print((rolls == 7).mean(), np.bincount(rolls)[2:])
np.random.seed(1)
print(np.random.randint(0, 10, 5), np.random.rand(2))
""",
    "bayes": """
prior, sensitivity, false_positive = 0.01, 0.95, 0.05
posterior = prior * sensitivity / (prior * sensitivity + (1 - prior) * false_positive)
print(f"P(D|+) = {posterior:.6f}")
""",
    "statistics": """
import statistics
data = [12, 15, 11, 18, 15, 20, 9]
print(statistics.mean(data), statistics.median(data), statistics.mode(data), statistics.pstdev(data))
print(statistics.quantiles(data, n=4), sorted(data), statistics.variance(data))
""",
    "markov chain": """
import numpy as np
P = np.array([[0.9, 0.1], [0.5, 0.5]])
print(np.linalg.matrix_power(P, 50).round(6))
values, vectors = np.linalg.eig(P.T)
v = vectors[:, np.argmax(values)]
print((v / v.sum()).round(6))
""",
    # ------------------------------------------------------------------------------------------- algebra
    "quadratic": """
import cmath, math
a, b, c = 2, -5, -3
d = b**2 - 4*a*c
print(d, (-b + math.sqrt(d)) / (2*a), (-b - math.sqrt(d)) / (2*a))
print(cmath.sqrt(-4), [(-2 + s * cmath.sqrt(4 - 20)) / 2 for s in (1, -1)])
""",
    "solve": """
from sympy import symbols, solve, Eq, sqrt
x = symbols('x')
print(solve(Eq(x**2 - 5*x + 6, 0), x), solve(2*x**2 - 3, x), solve(x**3 - 1, x))
""",
    "solveset": """
from sympy import *
x = Symbol('x', real=True)
print(solveset(x**2 - 4, x, domain=S.Reals))
print(solveset(x**2 - 3*x < 4, x, S.Reals), solveset(sin(x), x, Interval(0, 7)))
""",
    "linear system": """
import sympy as sp
x, y, z = sp.symbols('x y z')
solution = sp.solve([sp.Eq(2*x + y - z, 8), sp.Eq(-3*x - y + 2*z, -11), sp.Eq(-2*x + y + 2*z, -3)], [x, y, z])
print(solution, solution[x] + solution[y])
print(sp.linsolve([x + y - 3, x - y - 1], x, y), sp.nonlinsolve([x*y - 6, x + y - 5], [x, y]))
""",
    "expand and factor": """
from sympy import symbols, expand, factor, simplify, cancel, apart, together, collect
a, b, x = symbols('a b x')
print(expand((a + b)**4), factor(x**4 - 16), simplify((x**2 - 1)/(x - 1)))
print(cancel((x**2 + 2*x + 1)/(x**2 + x)), apart(1/(x**2 - 1)))
print(together(1/x + 1/(x + 1)), collect(a*x + b*x, x))
""",
    "substitution": """
from sympy import symbols, Rational, sqrt, nsimplify, N
x, y = symbols('x y')
expr = x**2 + 3*x*y - sqrt(y)
print(expr.subs({x: 2, y: 9}), expr.subs(x, Rational(1, 2)), expr.evalf(subs={x: 1.5, y: 2}), N(sqrt(2), 20))
print(nsimplify(0.125), expr.free_symbols == {x, y}, expr.coeff(y, 1), expr.diff(x))
""",
    "polynomials": """
from sympy import Poly, symbols, roots, real_roots, div, gcd, resultant, discriminant
x = symbols('x')
p = Poly(x**3 - 6*x**2 + 11*x - 6, x)
print(p.all_coeffs(), roots(p), real_roots(p), p.degree(), p.eval(4))
print(div(p, Poly(x - 1, x)), discriminant(x**2 + 3*x + 1, x))
""",
    "polynomials with numpy": """
import numpy as np
print(np.roots([1, -6, 11, -6]).round(8), np.polyval([1, 0, -2], 3))
print(np.polyfit([0, 1, 2], [1, 3, 7], 2).round(6))
p = np.poly1d([1, -3, 2])
print(p(5), p.roots, (p * p).coeffs, p.deriv())
from numpy.polynomial import Polynomial
print(Polynomial([1, 2, 3])(2), Polynomial([2, -3, 1]).roots())
""",
    "vieta": """
from sympy import symbols, solve, simplify, expand
x = symbols('x')
r = solve(x**3 - 4*x**2 + x + 5, x)
print(len(r), simplify(expand(sum(r))), abs(complex(simplify(r[0]*r[1]*r[2]).evalf()) + 5) < 1e-9)
""",
    "inequalities": """
from sympy import symbols, solve_univariate_inequality, reduce_inequalities, Abs, Interval, oo, Union
x = symbols('x', real=True)
print(solve_univariate_inequality(x**2 - 5*x + 6 < 0, x), reduce_inequalities([x > 2, x**2 < 16], x))
print(solve_univariate_inequality(Abs(x - 2) <= 5, x, relational=False))
print(Interval(0, 1).union(Interval(2, oo)))
""",
    "logarithms": """
import math
print(math.log(8, 2), math.log2(1024), math.log10(0.001), math.log(math.e ** 3), math.exp(math.log(7)))
from sympy import log, simplify, expand_log, symbols, Rational
x = symbols('x', positive=True)
print(log(8, 2), expand_log(log(x**3)), simplify(log(32)/log(2)), log(Rational(1, 9), 3))
""",
    "surds": """
from sympy import sqrt, simplify, radsimp, sqrtdenest, Rational, cbrt, root
print(sqrt(72), radsimp(1/(sqrt(3) - 1)), sqrtdenest(sqrt(5 + 2*sqrt(6))))
print(simplify(sqrt(2)*sqrt(8)), root(27, 3), cbrt(-8))
""",
    "complex numbers": """
z = 3 + 4j
print(abs(z), z.conjugate(), z ** 2, z / (1 - 2j), z.real, z.imag)
import cmath
print(tuple(round(v, 6) for v in cmath.polar(1 + 1j)))
roots = [cmath.exp(2j * cmath.pi * k / 3) for k in range(3)]
print([complex(round(w.real, 6), round(w.imag, 6)) for w in roots])
from sympy import I, re, im, arg, conjugate, expand
print(expand((2 + 3*I)**3), re((1 + I)**4), arg(1 + I), conjugate(3 - I))
""",
    "functions": """
f = lambda x: 2 * x + 3
g = lambda x: x ** 2 - 1
compose = lambda *fs: lambda x: x if not fs else fs[0](compose(*fs[1:])(x))
print(f(g(3)), g(f(3)), compose(f, g)(3), [f(x) for x in range(-2, 3)])
def inverse(y):
    return (y - 3) / 2
print(all(inverse(f(x)) == x for x in range(10)))
""",
    "sequences": """
def a(n):
    return 3 if n == 1 else 2 * a(n - 1) + 1
print([a(n) for n in range(1, 10)], [2**(n + 1) - 1 for n in range(1, 10)])
print(sum(5 + 3 * k for k in range(20)), 20 * (2 * 5 + 19 * 3) // 2)
print(sum(0.5 ** k for k in range(50)))
""",
    "recurrences": """
from sympy import Function, rsolve, symbols
n = symbols('n', integer=True)
y = Function('y')
print(rsolve(y(n + 2) - 5*y(n + 1) + 6*y(n), y(n), {y(0): 1, y(1): 4}))
""",
    "sums": """
from sympy import symbols, summation, Sum, oo, factorial, simplify, Product, factor
k, n = symbols('k n', integer=True, positive=True)
print(factor(summation(k**2, (k, 1, n))), summation(1/k**2, (k, 1, oo)), Sum(1/2**k, (k, 0, oo)).doit())
print(Product(k, (k, 1, 5)).doit(), summation(1/factorial(k), (k, 0, oo)))
""",
    "matrices": """
from sympy import Matrix, eye, zeros, symbols, Rational
M = Matrix([[2, 1], [1, 3]])
x = symbols('x')
print(M.det(), M.inv(), M.eigenvals(), M.rref(), M**3, M.T)
print(M.trace(), M.charpoly(x).as_expr(), (M - 2*eye(2)).nullspace())
print(M.LUsolve(Matrix([1, 2])), zeros(1, 2), M[0, 1], M.row(0), M.applyfunc(lambda e: e + 1))
""",
    "matrices with numpy": """
import numpy as np
A = np.array([[4.0, -2, 1], [3, 6, -4], [2, 1, 8]])
b = np.array([12, -25, 32])
x = np.linalg.solve(A, b)
print(x.round(6), np.allclose(A @ x, b), round(np.linalg.det(A), 6), np.linalg.matrix_rank(A))
print(np.linalg.inv(A).round(4), np.trace(A), np.linalg.norm(b), A.sum(axis=0), A[:, 1], A[A > 3])
""",
    # ------------------------------------------------------------------------------------------ geometry
    "triangle": """
import math
a, b, c = 13, 14, 15
s = (a + b + c) / 2
area = math.sqrt(s * (s - a) * (s - b) * (s - c))
print(area, area / s, a * b * c / (4 * area), math.degrees(math.acos((b*b + c*c - a*a) / (2*b*c))))
""",
    "circle": """
from math import pi, isclose
r = 7
print(f'{2 * pi * r:.4f} {pi * r ** 2:.4f}', isclose(pi * r * r, 153.938, abs_tol=1e-3))
""",
    "shoelace": """
points = [(0, 0), (4, 0), (5, 3), (1, 5)]
area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1]))) / 2
print(area)
""",
    "points and lines": """
from sympy import Point, Line, Circle, Triangle, Segment, Polygon, pi
A, B, C = Point(0, 0), Point(6, 0), Point(2, 4)
T = Triangle(A, B, C)
print(T.area, T.centroid, T.circumcenter, A.distance(C))
print(Line(A, C).slope, Segment(A, B).midpoint, T.perimeter)
print(Circle(A, 5).intersection(Line(Point(0, 3), Point(1, 3))))
print(Polygon(A, B, C).area, Line(A, B).is_parallel(Line(C, Point(5, 4))))
""",
    "vectors": """
import numpy as np
u, v = np.array([1, 2, 3]), np.array([4, -5, 6])
print(np.dot(u, v), np.cross(u, v), np.linalg.norm(u - v).round(6))
angle = np.degrees(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
print(f"{angle:.4f}")
""",
    "solids": """
from math import pi
def volume(shape, **d):
    match shape:
        case 'cone': return pi * d['r'] ** 2 * d['h'] / 3
        case 'sphere': return 4 / 3 * pi * d['r'] ** 3
        case 'box': return d['a'] * d['b'] * d['c']
        case _: raise ValueError(shape)
print(round(volume('cone', r=3, h=4), 4), round(volume('sphere', r=2), 4), volume('box', a=1, b=2, c=3))
try:
    volume('torus')
except ValueError as e:
    print('unknown', e)
""",
    "trigonometry": """
import math
for deg in (0, 30, 45, 60, 90):
    rad = math.radians(deg)
    print(deg, round(math.sin(rad), 4), round(math.cos(rad), 4))
    print(round(math.tan(rad), 4) if deg != 90 else 'undefined')
""",
    "exact trigonometry": """
from sympy import sin, cos, tan, pi, simplify, trigsimp, expand_trig, symbols, solve, atan, Rational
x = symbols('x')
print(sin(pi/12), cos(pi/5), tan(pi/8), trigsimp(sin(x)**2 + cos(x)**2), expand_trig(sin(2*x)), atan(1))
print(solve(2*cos(x) - 1, x), simplify(sin(x)/cos(x) - tan(x)))
""",
    "lattice points": """
import math
count = sum(1 for x in range(-10, 11) for y in range(-10, 11) if x*x + y*y <= 100)
boundary = [(x, y) for x in range(-5, 6) for y in range(-5, 6) if x*x + y*y == 25]
print(count, len(boundary), math.hypot(3, 4), math.dist((0, 0), (1, 1)))
""",
    # ------------------------------------------------------------------------------------------ calculus
    "derivatives": """
from sympy import *
x, y = symbols('x y')
f = x**3 * exp(-x) + log(x)
print(diff(f, x), diff(f, x, 2).subs(x, 1), diff(x**2*y**3, x, y), simplify(diff(tan(x), x)))
""",
    "integrals": """
from sympy import symbols, integrate, sin, exp, oo, sqrt, pi, log, Integral
x = symbols('x')
print(integrate(x**2 * sin(x), x), integrate(exp(-x**2), (x, -oo, oo)), integrate(1/(1 + x**2), (x, 0, 1)))
print(Integral(sqrt(1 - x**2), (x, -1, 1)).doit(), integrate(log(x), (x, 1, 2)).evalf(6))
""",
    "limits": """
from sympy import limit, symbols, sin, oo, exp, series, cos, factorial
x = symbols('x')
print(limit(sin(3*x)/x, x, 0), limit((1 + 1/x)**x, x, oo))
print(limit(1/x, x, 0, '+'), limit((1 - cos(x))/x**2, x, 0))
print(series(exp(x)*cos(x), x, 0, 6), exp(x).series(x, 0, 4).removeO())
""",
    "critical points": """
from sympy import symbols, diff, solve
x = symbols('x', real=True)
f = x**3 - 3*x**2 - 9*x + 5
points = solve(diff(f, x), x)
for p in points:
    print(p, f.subs(x, p), 'min' if diff(f, x, 2).subs(x, p) > 0 else 'max')
""",
    "numerical integration": """
from scipy import integrate
import numpy as np
value, error = integrate.quad(lambda t: np.exp(-t) * np.cos(t), 0, np.inf)
print(round(value, 8), error < 1e-6)
xs = np.linspace(0, np.pi, 1001)
print(round(np.trapezoid(np.sin(xs), xs), 5), round(integrate.simpson(np.sin(xs), x=xs), 8))
""",
    "newton": """
def newton(f, df, x, tol=1e-12, steps=50):
    for i in range(steps):
        new = x - f(x) / df(x)
        if abs(new - x) < tol:
            return new, i
        x = new
root, steps = newton(lambda x: x**3 - 2*x - 5, lambda x: 3*x**2 - 2, 2.0)
print(round(root, 10), steps)
""",
    "differential equation": """
from sympy import Function, dsolve, Eq, symbols, Derivative
t = symbols('t')
y = Function('y')
print(dsolve(Eq(y(t).diff(t), -2*y(t)), y(t), ics={y(0): 3}), dsolve(y(t).diff(t, 2) + y(t), y(t)))
""",
    "differential equation by steps": """
from scipy.integrate import solve_ivp
import numpy as np
s = solve_ivp(lambda t, y: -0.5 * y, (0, 4), [2.0], rtol=1e-8, atol=1e-10)
print(s.success, round(float(s.y[0, -1]), 6), round(2 * np.exp(-2), 6))
""",
    "optimisation": """
from scipy.optimize import minimize, brentq, fsolve, linprog, minimize_scalar
print(round(brentq(lambda x: x**3 - x - 2, 1, 2), 8))
print(fsolve(lambda v: [v[0] + v[1] - 3, v[0] * v[1] - 2], [0.5, 2.5]).round(6))
r = minimize(lambda v: (v[0] - 1)**2 + (v[1] + 2)**2, [0, 0])
print(r.x.round(3), r.success, round(minimize_scalar(lambda x: (x - 2)**2 + 1).fun, 6))
lp = linprog([-3, -5], A_ub=[[1, 0], [0, 2], [3, 2]], b_ub=[4, 12, 18])
print(lp.x.round(6), round(lp.fun, 6))
""",
    "series by numbers": """
total, term, n = 0.0, 1.0, 0
while abs(term) > 1e-15:
    total += term
    n += 1
    term /= n
import math
print(total, n, abs(total - math.e) < 1e-12)
""",
    # --------------------------------------------------------------------------------- data and programming
    "counting letters": """
from collections import Counter, defaultdict, OrderedDict
text = "mississippi"
c = Counter(text)
print(c.most_common(), sorted(c.items()), c['z'], c - Counter('miss'))
groups = defaultdict(list)
for word in ['tea', 'eat', 'tan', 'ate', 'nat', 'bat']:
    groups[''.join(sorted(word))].append(word)
print(dict(groups))
""",
    "calendar": """
import datetime
from datetime import date, timedelta
d = date(2024, 2, 28)
print(d + timedelta(days=2), (date(2024, 12, 25) - d).days, d.strftime('%A'), d.weekday(), d.isocalendar())
import calendar
print(calendar.isleap(2100), calendar.monthrange(2023, 2))
print(sum(date(y, m, 13).weekday() == 4 for y in range(2020, 2024) for m in range(1, 13)))
""",
    "clock": """
minutes = 17 * 60 + 45 + 140
print(f"{minutes // 60 % 24:02d}:{minutes % 60:02d}")
def angle(h, m): return abs(30 * h - 5.5 * m) % 360
print(min(angle(3, 40), 360 - angle(3, 40)))
""",
    "regular expressions": """
import re
text = "Tom has 3 apples, 12 pears and 4.5 kg of plums."
numbers = [float(n) for n in re.findall(r"\\d+(?:\\.\\d+)?", text)]
print(numbers, sum(numbers), re.sub(r"(\\d+)", r"<\\1>", text), bool(re.fullmatch(r"[A-Z][a-z]+", "Tom")))
""",
    "table": """
rows = [("n", "n^2", "n^3")] + [(n, n**2, n**3) for n in range(1, 5)]
for row in rows:
    print(" | ".join(str(cell).rjust(4) for cell in row))
print("-" * 20)
""",
    "shortest paths": """
import heapq
graph = {'A': {'B': 1, 'C': 4}, 'B': {'C': 2, 'D': 5}, 'C': {'D': 1}, 'D': {}}
def dijkstra(start):
    distances = {node: float('inf') for node in graph}
    distances[start] = 0
    queue = [(0, start)]
    while queue:
        d, node = heapq.heappop(queue)
        if d > distances[node]:
            continue
        for neighbour, weight in graph[node].items():
            if d + weight < distances[neighbour]:
                distances[neighbour] = d + weight
                heapq.heappush(queue, (d + weight, neighbour))
    return distances
print(dijkstra('A'))
""",
    "breadth first": """
from collections import deque
def knight(start, goal):
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        (x, y), d = queue.popleft()
        if (x, y) == goal:
            return d
        for dx, dy in ((1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1)):
            p = (x + dx, y + dy)
            if 0 <= p[0] < 8 and 0 <= p[1] < 8 and p not in seen:
                seen.add(p)
                queue.append((p, d + 1))
print(knight((0, 0), (7, 7)))
""",
    "longest common subsequence": """
def lcs(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]
print(lcs("AGGTAB", "GXTXAYB"), lcs("abc", "xyz"))
""",
    "knapsack": """
items = [(60, 10), (100, 20), (120, 30)]
best = [0] * 51
for value, weight in items:
    for w in range(50, weight - 1, -1):
        best[w] = max(best[w], best[w - weight] + value)
print(best[50])
""",
    "towers": """
moves = []
def hanoi(n, a='A', b='B', c='C'):
    if n:
        hanoi(n - 1, a, c, b)
        moves.append((a, c))
        hanoi(n - 1, b, a, c)
hanoi(5)
print(len(moves), moves[:3], moves[-1])
""",
    "collatz": """
def collatz(n):
    yield n
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        yield n
print(list(collatz(13)), max(range(1, 300), key=lambda n: len(list(collatz(n)))))
""",
    "game of numbers": """
from functools import cache
@cache
def wins(n):
    return any(not wins(n - k) for k in (1, 3, 4) if k <= n)
print([n for n in range(30) if not wins(n)])
""",
    "magic square": """
square = [[2, 7, 6], [9, 5, 1], [4, 3, 8]]
rows = [sum(r) for r in square]
columns = [sum(c) for c in zip(*square)]
diagonals = [sum(square[i][i] for i in range(3)), sum(square[i][2 - i] for i in range(3))]
print(rows, columns, diagonals, len({*rows, *columns, *diagonals}) == 1)
""",
    "puzzle of digits": """
from itertools import permutations
for p in permutations(range(10), 4):
    a, b, c, d = p
    if a and 1000*a + 100*b + 10*c + d == 4 * (1000*d + 100*c + 10*b + a) and d:
        print(p)
""",
    "truth tables": """
from itertools import product
for p, q in product([True, False], repeat=2):
    print(p, q, not p or q, p and not q, p ^ q, (not (p and q)) == (not p or not q))
from sympy import symbols
from sympy.logic.boolalg import simplify_logic, And, Or, Not, Implies
from sympy.logic.inference import satisfiable
a, b = symbols('a b')
print(simplify_logic((a & b) | (a & ~b)), satisfiable(a & ~a), Implies(a, b).subs({a: True, b: False}))
""",
    "sets": """
A, B = set(range(0, 20, 2)), set(range(0, 20, 3))
print(A & B, len(A | B), sorted(A - B), sorted(A ^ B), {6} <= A, A.isdisjoint({1}))
print({frozenset(s) for s in ([1], [1, 1])})
""",
    "class for fractions": """
from math import gcd
class Frac:
    def __init__(self, n, d=1):
        g = gcd(n, d)
        self.n, self.d = n // g, d // g
    def __add__(self, o): return Frac(self.n * o.d + o.n * self.d, self.d * o.d)
    def __mul__(self, o): return Frac(self.n * o.n, self.d * o.d)
    def __lt__(self, o): return self.n * o.d < o.n * self.d
    def __eq__(self, o): return (self.n, self.d) == (o.n, o.d)
    def __hash__(self): return hash((self.n, self.d))
    def __repr__(self): return f"{self.n}/{self.d}"
    def __bool__(self): return self.n != 0
print(Frac(1, 2) + Frac(1, 3), Frac(2, 4) == Frac(1, 2), sorted([Frac(3, 4), Frac(1, 5)]), bool(Frac(0, 3)))
""",
    "dataclass of steps": """
from dataclasses import dataclass, field
from typing import List, Optional
@dataclass
class Step:
    text: str
    value: Optional[float] = None
    notes: List[str] = field(default_factory=list)
    @property
    def ok(self) -> bool:
        return self.value is not None
steps = [Step("a", 3.0), Step("b")]
steps[1].notes.append("missing")
print(steps, [s.ok for s in steps])
""",
    "main function": """
def check_step(claim: int, actual: int) -> str:
    \"\"\"Compare.\"\"\"
    return "correct" if claim == actual else f"wrong by {claim - actual:+d}"

def main() -> None:
    for claim, actual in zip((12, 30), (12, 36), strict=True):
        print(check_step(claim, actual))

if __name__ == "__main__":
    main()
""",
    "asserts": """
result = {"x": 2, "y": -1}
assert 3 * result["x"] + 2 * result["y"] == 4, "first equation"
assert result["x"] - result["y"] == 3, "second equation"
print("Both equations hold")
""",
    "numpy tables": """
import numpy as np
a = np.arange(12).reshape(3, 4)
print(a, a.T.shape, a.mean(), a.std().round(4), np.cumsum(a[0]), np.where(a % 2 == 0, a, -1), np.median(a))
print(np.unique([1, 2, 2, 3], return_counts=True), np.argsort([3, 1, 2]))
print(np.gcd(12, 18), np.prod([1, 2, 3]), np.linspace(0, 1, 5))
""",
    "numpy of booleans": """
import numpy as np
n = np.arange(1, 101)
mask = (n % 3 == 0) & ~(n % 5 == 0)
print(mask.sum(), n[mask][:5], np.any(n > 99), np.all(n > 0))
print(np.diff(n[mask])[:4], np.isclose(0.1 + 0.2, 0.3))
""",
    "latex": """
from sympy import latex, symbols, Rational, sqrt, pretty, sstr, Integral
x = symbols('x')
print(latex(Rational(3, 4) * sqrt(x)), latex(Integral(x**2, (x, 0, 1))), sstr(x**2/2))
print(pretty(x**2 + 1/x, use_unicode=False))
""",
    "equal expressions": """
from sympy import symbols, simplify, sympify, expand, Eq, factor
x = symbols('x')
lhs, rhs = sympify('(x + 1)**2 - (x - 1)**2'), sympify('4*x')
print(simplify(lhs - rhs) == 0, lhs.equals(rhs), lhs == rhs, Eq(expand(lhs), rhs))
""",
    "numbers from text": """
from sympy import Rational, nsimplify, sympify, S, Integer, Float, pi, E, oo, zoo, nan
print(Rational('0.375'), nsimplify('0.333333', rational=True, tolerance=0.001))
print(S(1)/3 + S('1/6'), Integer(7) / 2, Float('1.5'), pi.evalf(15), E.n(5), oo - 1, 1 / S(0))
""",
    "lambdified": """
import numpy as np
from sympy import symbols, lambdify, sin, Matrix, Piecewise
x, y = symbols('x y')
f = lambdify((x, y), x**2 + sin(y), 'numpy')
print(f(2, 0), f(np.array([1, 2]), 0.0), lambdify(x, Piecewise((x, x > 0), (-x, True)))(-3))
print(lambdify(x, Matrix([x, x**2]))(2).tolist())
""",
    "assumptions": """
from sympy import symbols, sqrt, Abs, simplify, ask, Q, refine, assuming
x = symbols('x')
n = symbols('n', integer=True, positive=True)
print(sqrt(x**2), sqrt(n**2), Abs(n), (2*n).is_even, n.is_real)
print(ask(Q.even(2*n)), refine(Abs(x), Q.positive(x)))
""",
    "strings": """
s = "The quick brown fox"
print(s.upper(), s.split()[::-1], s.replace("quick", "slow"))
print(s.count("o"), s.find("fox"), s.title(), s.center(25, '*'))
print(' '.join(w[::-1] for w in s.split()), s.startswith('The'), 'abc' < 'abd')
print('a' * 3, s[4:9], ord('A'), chr(97), 'x=%d y=%.2f' % (3, 2.5))
""",
    "json": """
import json
d = {'answer': [1, 2.5, None, True], 'x': {'y': 'z'}}
print(json.dumps(d, sort_keys=True, indent=1))
print(json.loads(json.dumps(d)) == d)
""",
    "enumerated": """
from enum import Enum, IntEnum
class Verdict(Enum):
    YES = 'Yes'
    NO = 'No'
class Level(IntEnum):
    LOW = 1
    HIGH = 2
print(Verdict('Yes'), Verdict.NO.value, [v.name for v in Verdict], Level.HIGH > Level.LOW, Level(1) + 1)
""",
    # ------------------------------------------------------------------------------------------- mistakes
    "a name misspelt": "total = 5\nprint(totl)",
    "a division by zero": "x = 10\nprint('before')\nprint(x / (5 - 5))",
    "an index too far": "steps = [1, 2, 3]\nprint(steps[0], steps[-1])\nprint(steps[3])",
    "a missing key": "d = {'a': 1}\nprint(d['a'], d.get('b'))\nprint(d['b'])",
    "text and number": "n = 3\nprint('n = ' + n)",
    "a failed assert": "claimed = 41\nassert claimed == 6 * 7, f'claimed {claimed}, computed {6 * 7}'",
    "a bare assert": "assert 2 + 2 == 5",
    "an unclosed bracket": "print((1 + 2)\nx = 3",
    "an unindented body": "for i in range(3):\nprint(i)",
    "an equals sign too few": "x = 3\nif x = 3:\n    print(x)",
    "a return outside": "x = 1\nreturn x",
    "a number for a text": "print(int('3.5'))",
    "an unpacking": "a, b = [1, 2, 3]",
    "no such attribute": "import math\nprint(math.cot(1))",
    "no such method": "print([1, 2].add(3))",
    "an import that there is not": "from sympy import Symbols",
    "a call of a number": "x = 3\nprint(2(x + 1))",
    "an undefined symbol": "from sympy import solve\nprint(solve(x**2 - 1))",
    "a singular matrix": "import numpy as np\nprint(np.linalg.inv(np.array([[1, 2], [2, 4]])))",
    "shapes that do not fit": "import numpy as np\nprint(np.ones((2, 3)) @ np.ones((2, 3)))",
    "a symbolic truth": "from sympy import symbols\nx = symbols('x')\nif x > 2:\n    print('yes')",
    "a square root of less": "import math\nprint(math.sqrt(-1))",
    "a wrong argument": "def area(w, h): return w * h\nprint(area(3, 4))\nprint(area(3))",
    "an endless recursion": "def f(n):\n    return f(n + 1)\nf(0)",
    "raised on purpose": "value = -3\nif value < 0:\n    raise ValueError(f'negative length: {value}')",
    "a local too early": "count = 0\ndef add():\n    count += 1\nadd()",
    "a decimal that is none": "from decimal import Decimal\nprint(Decimal('1/3'))",
    "a set that is called a list": "s = {3, 1, 2}\nprint(s[0])",
    "an overflow": "import math\nprint(math.exp(1000))",
    "a comparison of kinds": "print(sorted([3, 'a', 1]))",
}
