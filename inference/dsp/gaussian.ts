/** How far a point is from the middle of a Gaussian, and how rare that is. Pure functions of numbers. */

/** The inverse of a covariance: its diagonal where the features are taken as independent, else all of it, row by row. */
export type Precision =
  | { readonly diagonal: readonly number[] }
  | { readonly matrix: readonly (readonly number[])[] };

export interface Gaussian {
  readonly mean: readonly number[];
  /** Of as many dimensions as `mean`. */
  readonly precision: Precision;
}

/**
 * The squared Mahalanobis distance.
 * @param point of as many dimensions as the Gaussian
 */
export function squaredDistance(point: ArrayLike<number>, { mean, precision }: Gaussian): number {
  const offsets = mean.map((middle, index) => (point[index] ?? NaN) - middle);
  const weighted =
    'diagonal' in precision
      ? offsets.map((offset, index) => offset * (precision.diagonal[index] ?? NaN))
      : precision.matrix.map((row) => dot(row, offsets));
  return Math.max(0, dot(weighted, offsets));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0);
}

/** Whether a square matrix is symmetric (to rounding) and gives every other point a distance above 0: Cholesky's factor exists. */
export function isPositiveDefinite(matrix: readonly (readonly number[])[]): boolean {
  const factor: number[][] = [];
  for (const [i, row] of matrix.entries()) {
    const line: number[] = [];
    for (let j = 0; j <= i; j += 1) {
      const value = row[j] ?? NaN;
      if (!(Math.abs(value - (matrix[j]?.[i] ?? NaN)) <= 1e-9 * Math.max(1, Math.abs(value)))) return false;
      const rest = value - dot(line, (factor[j] ?? line).slice(0, j));
      if (i === j && !(rest > 0)) return false;
      line.push(i === j ? Math.sqrt(rest) : rest / (factor[j]?.[j] ?? NaN));
    }
    factor.push(line);
  }
  return true;
}

/**
 * The share of a chi-square distribution that is below a value: what part of a Gaussian's own points are nearer than that squared distance.
 * The series and the continued fraction of the regularised incomplete gamma function, on the side where each converges.
 * @param dimensions at least 1
 */
export function chiSquareShare(squared: number, dimensions: number): number {
  if (!(squared > 0)) return squared <= 0 ? 0 : NaN;
  if (squared === Infinity) return 1;
  const a = dimensions / 2;
  const x = squared / 2;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  return x < a + 1 ? Math.min(1, scale * seriesOf(a, x)) : Math.max(0, 1 - scale * fractionOf(a, x));
}

const smallestTerm = 1e-15;
/** Both converge in a few square roots of `a`. */
const mostTerms = 10_000;

function seriesOf(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < mostTerms && term > smallestTerm * sum; n += 1) {
    term *= x / (a + n);
    sum += term;
  }
  return sum;
}

/** Lentz's method. */
function fractionOf(a: number, x: number): number {
  let b = x + 1 - a;
  let c = Infinity;
  let d = 1 / b;
  let value = d;
  for (let n = 1; n < mostTerms; n += 1) {
    const numerator = -n * (n - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    value *= c * d;
    if (Math.abs(c * d - 1) < smallestTerm) break;
  }
  return value;
}

/** Lanczos' approximation with g = 7, for arguments from 0.5 on; about 15 digits. */
const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

function logGamma(z: number): number {
  const x = z - 1;
  const t = x + lanczos.length - 0.5;
  const sum = lanczos.reduce((total, value, index) => total + value / (x + index + 1), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum);
}
