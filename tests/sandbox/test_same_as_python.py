"""Blocks that verifiers really write must behave as under plain ``exec``."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genprm_sdk.sandbox import Sandbox, Session

pytestmark = pytest.mark.anyio

BLOCKS = {
    "arithmetic": "total = 48 + 48 / 2\nprint(f'Total clips: {total:.2f}')",
    "sympy solve": """
from sympy import symbols, solve, Eq, simplify, sqrt
x, y = symbols('x y')
solution = solve((Eq(x + y, 10), Eq(x - y, 2)), (x, y))
print(solution, simplify((x**2 - 1) / (x - 1)), sqrt(8))
""",
    "sympy star": "from sympy import *\nx = symbols('x')\nprint(diff(sin(x)*x, x), integrate(x, (x, 0, 3)))",
    "sympy strings": "import sympy as sp\nprint(sp.sympify('x**2 + 2*x').subs('x', 3), sp.Rational('1/3'))",
    "sympy parse": "from sympy import parse_expr, S\nprint(parse_expr('2*x + max(1, 2)'), S('1/2'))",
    "lambdify": "import sympy\nx = sympy.Symbol('x')\nf = sympy.lambdify(x, x**2 + 1, 'numpy')\nprint(f(3))",
    "numpy": """
import numpy as np
a = np.array([[1, 2], [3, 4.5]])
a[0, 1] += 2
a[1] *= 2
print(np.linalg.det(a), a.T @ a, a[a > 3], a.shape, np.mean(a, axis=0))
rng = np.random.default_rng(0)
print(rng.integers(0, 10, 5).tolist())
""",
    "scipy": "from scipy.special import comb\nimport scipy.optimize as opt\n"
    "print(comb(5, 2, exact=True), round(opt.brentq(lambda t: t*t - 2, 0, 2), 6))",
    "fractions": "from fractions import Fraction as F\nx = F(1, 3) + F(1, 6)\nprint(x, x.numerator)",
    "decimal": "from decimal import Decimal, getcontext\ngetcontext().prec = 6\nprint(1 / Decimal(7))",
    "itertools": """
from itertools import permutations, product, combinations
from collections import Counter, defaultdict, deque
counts = defaultdict(int)
for a, b in product(range(1, 7), repeat=2):
    counts[a + b] += 1
print(dict(counts), Counter('hello').most_common(1), len(list(permutations('abcd'))))
print(*[sum(c) for c in combinations([1, 2, 3], 2)], sep=', ')
q = deque([1, 2]); q.appendleft(0); print(q)
""",
    "class with operators": """
class Vector:
    __slots__ = ('x', 'y')
    def __init__(self, x, y):
        self.x, self.y = x, y
    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)
    __radd__ = __add__
    def __iadd__(self, other):
        self.x += other.x
        return self
    def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
    def __hash__(self): return hash((self.x, self.y))
    def __repr__(self): return f'{self.__class__.__name__}({self.x}, {self.y!r})'
    def __len__(self): return 2
    def __iter__(self): yield from (self.x, self.y)
    def __getitem__(self, i): return (self.x, self.y)[i]
    def __call__(self): return abs(self.x)
v = Vector(1, 2) + Vector(3, 4)
v += Vector(10, 0)
a, b = v
print(v, len(v), v[0], v(), {v: 1}[Vector(14, 6)], a, b, type(v).__name__)
""",
    "inheritance": """
from abc import ABC, abstractmethod
class Shape(ABC):
    _count = 0
    def __init__(self, name):
        self._name = name
        self.__secret = 7
        Shape._count += 1
    @property
    def name(self): return self._name
    @name.setter
    def name(self, value): self._name = value
    @abstractmethod
    def area(self): ...
    @classmethod
    def made(cls): return cls._count
    @staticmethod
    def twice(n): return 2 * n
    def secret(self): return self.__secret
class Square(Shape):
    def __init__(self, side):
        super().__init__('square')
        self.side = side
    def area(self): return self.side ** 2
s = Square(3)
s.name = 'sq'
print(s.name, s.area(), Shape.made(), s.twice(4), s.secret(), isinstance(s, Shape))
""",
    "dataclass": """
from __future__ import annotations
from dataclasses import dataclass, field, asdict
@dataclass(order=True)
class P:
    x: int
    tags: list[str] = field(default_factory=list)
    def __post_init__(self): self.x *= 2
@dataclass(frozen=True)
class Q:
    a: int = 1
p = P(1, ['a'])
print(p, asdict(p), P(1) < P(2), Q(), hash(Q()) == hash(Q()))
try:
    Q().a = 3
except Exception as e:
    print(type(e).__name__, e)
""",
    "match": """
from dataclasses import dataclass
@dataclass
class Point:
    x: int
    y: int
def what(v):
    match v:
        case 0 | 1: return 'small'
        case [a, *rest] if rest: return f'list {a} {rest}'
        case {'k': value, **others}: return f'map {value} {others}'
        case Point(x=0, y=y): return f'on axis {y}'
        case Point(a, b) if a == b: return f'diagonal {a}'
        case str() as s: return f'text {s}'
        case _: return 'other'
for v in (0, [1, 2, 3], {'k': 1, 'z': 2}, Point(0, 4), Point(2, 2), Point(1, 2), 'hi', None):
    print(what(v))
""",
    "closures": """
def counter():
    n = 0
    def step(by=1, *args, scale: int = 1, **kwargs) -> int:
        nonlocal n
        n += by * scale + sum(args) + sum(kwargs.values())
        return n
    return step
total = 0
def add(k):
    global total
    total += k
c = counter()
c(); c(2, 3, scale=2, z=1)
add(5)
print(c(), total, (lambda *a, **k: (a, k))(1, b=2))
""",
    "comprehensions": """
d = {k: v for k, v in zip('abc', range(3))}
m = [[0] * 3 for _ in range(2)]
m[1][2] += 5
d['a'] -= 1
del d['b']
print(d, m, {x % 3 for x in range(10)}, sum(x * x for x in range(5) if x % 2))
if (n := len(d)) > 1: print(n)
first, *middle, last = range(5)
print(first, middle, last, [*range(2), *'ab'], {**d, 'z': 1})
""",
    "main": "def main():\n    print('ran', __name__)\nif __name__ == '__main__':\n    main()",
    "exceptions": """
class MyError(ValueError):
    pass
for f in (lambda: 1 / 0, lambda: [][1], lambda: int('x'), lambda: {}['k'], lambda: None.x, lambda: undefined):
    try:
        f()
    except (ZeroDivisionError, IndexError) as e:
        print('first', type(e).__name__, e)
    except Exception as e:
        print('then', type(e).__name__, e)
    else:
        print('never')
    finally:
        print('done')
try:
    raise MyError('mine') from ValueError('other')
except MyError as e:
    print(e, e.args)
""",
    "formats": """
print('{} {:>5.2f} {name!r:<6}|{0[1]} {1.real}'.format([1, 2], 3.14159, name='x') if False else '')
print('{:>8}|{:<4}|{:^5}'.format('a', 1, 2.5), '{0} {1} {0}'.format(1, 2), '%05.1f %s' % (2.25, 'b'))
print('{a} {b[0]}'.format(a=1, b=[2]), '{z.real}'.format(z=3j), '{:{w}}'.format(5, w=4))
print(list(map('{}!'.format, 'ab')), '{k}'.format_map({'k': 1}), f'{1/3:.3%} {"q"!r} {2=}')
try:
    '{}{}'.format(1)
except IndexError as e:
    print(e)
try:
    '{'.format(1)
except ValueError as e:
    print(e)
""",
    "generators": """
def fib():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
g = fib()
print([next(g) for _ in range(10)], sorted([3, 1, 2], key=lambda n: -n), list(reversed('abc')))
print(any(n > 3 for n in (1, 5)), max([1, 4], default=0), dict(enumerate('ab')), divmod(7, 2), round(2.5))
""",
    "functools": """
from functools import lru_cache, reduce, wraps, partial, cached_property
import operator, math, bisect, heapq
@lru_cache(maxsize=None)
def f(n): return n if n < 2 else f(n - 1) + f(n - 2)
def loud(g):
    @wraps(g)
    def inner(*a):
        return g(*a) + 1
    return inner
@loud
def h(n):
    'doc'
    return n
print(f(80), reduce(operator.mul, range(1, 6)), h(1), h.__name__, h.__doc__, partial(pow, 2)(5))
print(sorted([(1, 'b'), (2, 'a')], key=operator.itemgetter(1)), operator.attrgetter('real')(3))
print(operator.methodcaller('upper')('a'), f.cache_info().hits > 0)
print(math.comb(5, 2), math.isclose(0.1 + 0.2, 0.3))
heap = [3, 1, 2]; heapq.heapify(heap); print(heapq.heappop(heap), bisect.bisect([1, 2, 3], 2))
""",
    "named things": """
from collections import namedtuple, OrderedDict
from typing import NamedTuple, List, Optional
from enum import Enum, auto
P = namedtuple('P', 'x y')
class T(NamedTuple):
    a: int
    b: str = 'z'
class Color(Enum):
    RED = 1
    BLUE = auto()
p = P(1, 2)
print(p, p._replace(x=5), p._asdict(), P._fields, T(1), Color.RED.name, Color(2), [c.value for c in Color])
x: Optional[List[int]] = None
y: int
print(x, OrderedDict(a=1))
""",
    "text and time": """
import re, string, json, textwrap, datetime, calendar, copy, statistics, time
print(re.findall(r'\\d+', 'a1b22'), string.ascii_lowercase[:3], json.dumps({'a': [1]}), json.loads('[1]'))
print(textwrap.dedent('  a'), datetime.date(2024, 2, 29) + datetime.timedelta(days=5))
print(calendar.isleap(2000))
print(datetime.datetime.strptime('2024-01-05', '%Y-%m-%d').weekday(), copy.deepcopy({'a': [1]}))
print(statistics.mean([1, 2, 4]), statistics.stdev([1, 2, 4]), time.time() > 0)
print(re.sub('(?P<n>a)', lambda m: m.group('n').upper(), 'banana'))
""",
    "with": """
class Timer:
    def __enter__(self):
        print('in')
        return self
    def __exit__(self, *exc):
        print('out', exc[0] is ValueError)
        return True
with Timer() as t:
    raise ValueError
with Timer(), Timer() as (u):
    pass
""",
    "dynamic attributes": """
class Box: pass
b = Box()
setattr(b, 'value', 3)
b.other = [1]
b.other += [2]
b.value *= 2
print(getattr(b, 'value'), getattr(b, 'none', 'default'), hasattr(b, 'x'), b.other)
del b.value
delattr(b, 'other')
print(hasattr(b, 'value'), type(b) is Box, isinstance(1, (int, type)), callable(len))
""",
    "sieve and loops": """
def primes(n):
    sieve = [True] * (n + 1)
    sieve[0:2] = [False, False]
    for i in range(2, int(n ** 0.5) + 1):
        if sieve[i]:
            sieve[i*i::i] = [False] * len(sieve[i*i::i])
    return [i for i, p in enumerate(sieve) if p]
print(primes(50))
_helper, __ = 1, 2
i = 0
while i < 10:
    i += 3
    if i == 6: continue
    if i > 8: break
else:
    print('not reached')
print(i, _helper, __, 7 // 2, -7 % 3, 2 ** -1, 1e-3, 0x1f, 1_000, ~5, 5 ^ 3)
print(bin(10), hex(255), chr(65), ord('a'), str(b'x'), complex(1, 2).imag, int('101', 2), float('inf'))
""",
}


def plain(code: str) -> str:
    stdout = io.StringIO()
    namespace = {"__name__": "__main__"}
    with contextlib.redirect_stdout(stdout):
        exec(code, namespace)  # noqa: S102 - blocks from this file
    return stdout.getvalue()


@pytest.mark.parametrize("name", BLOCKS)
async def test_prints_what_python_prints(session: Session, name: str) -> None:
    run = await session.run(BLOCKS[name])
    assert (run.status, run.message) == ("ok", None)
    assert run.stdout == plain(BLOCKS[name])


numbers = st.integers(-50, 50) | st.floats(-100, 100).map(lambda x: round(x, 3))
expressions = st.recursive(
    numbers.map(repr),
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "=="]), inner
        ),
        st.builds("abs({})".format, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("-{}".format, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
    ),
    max_leaves=8,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(expression=expressions)
async def test_arithmetic_is_pythons(sandbox: Sandbox, expression: str) -> None:
    try:
        expected = str(eval(expression))  # noqa: S307 - arithmetic from this file
    except (ArithmeticError, TypeError) as error:
        expected = f"Code execute Error: {type(error).__name__}: {error}"
    async with sandbox.session() as session:
        assert (await session.run(f"print({expression})")).feedback == expected
