/**
 * Weighted least squares with few non-negative coefficients, solved exactly by looking at every face of the
 * non-negative orthant. With at most four columns that is at most 15 tiny solves, and the same faces give the exact
 * extremes of any linear function over a confidence region, boundaries included.
 */

/** The least-squares solution with only some coefficients free and the rest at zero. */
export interface Face {
  readonly free: readonly number[];
  readonly beta: readonly number[];
  /** Weighted residual sum of squares. */
  readonly rss: number;
  /** (XᵀWX)⁻¹ of the free columns. */
  readonly inverse: readonly (readonly number[])[];
}

export interface NonNegativeFit {
  /** One coefficient per column, none negative. */
  readonly beta: readonly number[];
  readonly rss: number;
  readonly faces: readonly Face[];
}

const smallestPivot = 1e-12;
/** A face with more free columns must fit better by more than rounding: by this share of Σ w y². */
const rounding = 1e-12;

/** Inverse of a symmetric positive definite matrix by Cholesky, in correlation form; null where it is singular. */
export function invertPositive(matrix: readonly (readonly number[])[]): number[][] | null {
  const size = matrix.length;
  if (size <= 2) return invertSmall(at(matrix[0], 0), at(matrix[1], 0), at(matrix[1], 1), size);
  const scale = matrix.map((row, i) => Math.sqrt(at(row, i)));
  if (scale.some((value) => !(value > 0))) return null;
  const lower: number[][] = [];
  for (let i = 0; i < size; i += 1) {
    const row: number[] = [];
    for (let j = 0; j <= i; j += 1) {
      let sum = at(matrix[i], j) / (at(scale, i) * at(scale, j));
      for (let k = 0; k < j; k += 1) sum -= at(row, k) * at(j === i ? row : lower[j], k);
      if (i === j) {
        if (sum < smallestPivot) return null;
        row.push(Math.sqrt(sum));
      } else {
        row.push(sum / at(lower[j], j));
      }
    }
    lower.push(row);
  }
  const inverse = matrix.map(() => new Array<number>(size).fill(0));
  for (let column = 0; column < size; column += 1) {
    const x = new Array<number>(size).fill(0);
    for (let i = column; i < size; i += 1) {
      let sum = i === column ? 1 : 0;
      for (let k = column; k < i; k += 1) sum -= at(lower[i], k) * at(x, k);
      x[i] = sum / at(lower[i], i);
    }
    for (let i = size - 1; i >= 0; i -= 1) {
      let sum = at(x, i);
      for (let k = i + 1; k < size; k += 1) sum -= at(lower[k], i) * at(x, k);
      x[i] = sum / at(lower[i], i);
      (inverse[i] as number[])[column] = at(x, i) / (at(scale, i) * at(scale, column));
    }
  }
  return inverse;
}

/** One or two columns in closed form: most faces are that small. */
function invertSmall(a: number, b: number, c: number, size: number): number[][] | null {
  if (!(a > 0)) return null;
  if (size === 1) return [[1 / a]];
  const determinant = a * c - b * b;
  if (!(c > 0) || determinant < smallestPivot * a * c) return null;
  return [
    [c / determinant, -b / determinant],
    [-b / determinant, a / determinant],
  ];
}

function at(values: readonly number[] | undefined, index: number): number {
  return values?.[index] ?? 0;
}

function solveFace(free: readonly number[], { normal, right, total }: Moments): Face | null {
  // Of symmetric moments only the lower half is kept.
  const inverse = invertPositive(free.map((i) => free.map((j) => (j <= i ? at(normal[i], j) : at(normal[j], i)))));
  if (inverse === null) return null;
  const moments = free.map((i) => at(right, i));
  const beta = inverse.map((row) => dot(row, moments));
  return { free, beta, rss: Math.max(0, total - dot(beta, moments)), inverse };
}

function dot(left: readonly number[], right: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < left.length; i += 1) sum += at(left, i) * at(right, i);
  return sum;
}

/** A weighted least-squares problem by its sums, to which observations are added one by one. */
export interface Moments {
  /** XᵀWX, its lower half. */
  readonly normal: number[][];
  /** XᵀWy. */
  readonly right: number[];
  /** Σ w y². */
  total: number;
}

export function emptyMoments(columns: number): Moments {
  return {
    normal: Array.from({ length: columns }, (_, i) => new Array<number>(i + 1).fill(0)),
    right: new Array<number>(columns).fill(0),
    total: 0,
  };
}

/** Add an observation whose row is `factor` times the one given. */
export function addObservation(
  moments: Moments,
  row: readonly number[],
  factor: number,
  y: number,
  weight: number,
): void {
  moments.total += weight * y * y;
  for (let i = 0; i < row.length; i += 1) {
    const weighted = weight * factor * at(row, i);
    const line = moments.normal[i] ?? [];
    moments.right[i] = at(moments.right, i) + weighted * y;
    for (let j = 0; j <= i; j += 1) line[j] = at(line, j) + weighted * factor * at(row, j);
  }
}

/**
 * The minimiser alone, without the faces: where the free minimum is not negative it is the answer, and no other face is
 * looked at.
 */
export function nonNegativeSolution(moments: Moments): readonly number[] {
  const all = solveFace([...moments.right.keys()], moments);
  if (all?.beta.every((value) => value >= 0) === true) return all.beta;
  return bestFace(moments).beta;
}

/**
 * Minimise Σ wᵢ (yᵢ − xᵢ·β)² over β ≥ 0.
 *
 * @param rows one row of columns per observation
 */
export function nonNegativeLeastSquares(
  rows: readonly (readonly number[])[],
  y: readonly number[],
  weights: readonly number[],
): NonNegativeFit {
  const moments = emptyMoments(rows[0]?.length ?? 0);
  rows.forEach((row, i) => addObservation(moments, row, 1, at(y, i), at(weights, i)));
  return bestFace(moments);
}

/** The best of all faces of the non-negative orthant. */
export function bestFace(moments: Moments): NonNegativeFit {
  const columns = moments.right.length;
  const { total } = moments;
  const origin: Face = { free: [], beta: [], rss: total, inverse: [] };
  const faces: Face[] = [origin];
  let best = origin;
  for (let mask = 1; mask < 1 << columns; mask += 1) {
    const free: number[] = [];
    for (let i = 0; i < columns; i += 1) if ((mask >> i) & 1) free.push(i);
    const face = solveFace(free, moments);
    if (face === null) continue;
    faces.push(face);
    if (face.beta.every((value) => value >= 0) && face.rss < best.rss - rounding * total) {
      best = face;
    }
  }
  const beta = new Array<number>(columns).fill(0);
  best.free.forEach((column, i) => {
    beta[column] = at(best.beta, i);
  });
  return { beta, rss: best.rss, faces };
}

/**
 * The least and the greatest value of c·β over {β ≥ 0 : rss(β) ≤ limit}, in closed form: on each face the region is an
 * ellipsoid, and the optimum is interior to exactly one face.
 */
export function extremes(fit: NonNegativeFit, c: readonly number[], limit: number): { low: number; high: number } {
  const centre = dot(fit.beta, c);
  let low = centre;
  let high = centre;
  for (const face of fit.faces) {
    const radius2 = limit - face.rss;
    if (radius2 < 0) continue;
    const part = face.free.map((column) => at(c, column));
    const direction = face.inverse.map((row) => dot(row, part));
    const norm2 = dot(direction, part);
    const middle = dot(face.beta, part);
    const reach = norm2 > 0 ? Math.sqrt(radius2 / norm2) : 0;
    for (const sign of [-1, 1]) {
      const feasible = face.beta.every((value, i) => value + sign * reach * at(direction, i) >= 0);
      if (!feasible) continue;
      const value = middle + sign * reach * norm2;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return { low, high };
}
