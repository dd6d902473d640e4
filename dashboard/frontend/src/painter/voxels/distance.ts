// Exact Euclidean distances in a plane (Felzenszwalb and Huttenlocher 2012: lower envelopes of
// parabolas, first along the columns, then along the rows).

const FAR = 1e10;

export interface Mask {
  width: number;
  height: number;
  cells: Uint8Array; // 1 inside
}

/** The distance of each cell's middle to the edge of a mask: negative inside, positive outside. */
export function signedDistance({ width, height, cells }: Mask): Float64Array {
  const outside = distancesTo(cells, width, height, 1);
  const inside = distancesTo(cells, width, height, 0);
  return outside.map((distance, i) => (cells[i] ? 0.5 - inside[i]! : distance - 0.5));
}

/** The distance of each cell to the nearest cell of a value; very large where there is none. */
function distancesTo(
  cells: Uint8Array,
  width: number,
  height: number,
  value: number,
): Float64Array {
  const squares = Float64Array.from(cells, (cell) => (cell === value ? 0 : FAR));
  const envelope = new Envelope(Math.max(width, height));
  for (let column = 0; column < width; column++) envelope.apply(squares, column, width, height);
  for (let row = 0; row < height; row++) envelope.apply(squares, row * width, 1, width);
  return squares.map(Math.sqrt);
}

/** One line of squared distances at a time. */
class Envelope {
  private readonly line: Float64Array;
  private readonly vertices: Int32Array;
  private readonly starts: Float64Array; // where each vertex' parabola becomes the lowest

  constructor(most: number) {
    this.line = new Float64Array(most);
    this.vertices = new Int32Array(most);
    this.starts = new Float64Array(most + 1);
  }

  apply(squares: Float64Array, first: number, step: number, count: number): void {
    const { line, vertices, starts } = this;
    for (let i = 0; i < count; i++) line[i] = squares[first + i * step]!;
    this.build(count);
    for (let i = 0, k = 0; i < count; i++) {
      while (starts[k + 1]! < i) k++;
      const vertex = vertices[k]!;
      squares[first + i * step] = (i - vertex) ** 2 + line[vertex]!;
    }
  }

  private build(count: number): void {
    const { vertices, starts } = this;
    let last = 0;
    vertices[0] = 0;
    starts[0] = -FAR;
    starts[1] = FAR;
    for (let i = 1; i < count; i++) {
      let crossing = this.crossing(i, vertices[last]!);
      while (crossing <= starts[last]!) {
        last -= 1;
        crossing = this.crossing(i, vertices[last]!);
      }
      last += 1;
      vertices[last] = i;
      starts[last] = crossing;
      starts[last + 1] = FAR;
    }
  }

  /** Where the parabolas of two cells meet. */
  private crossing(a: number, b: number): number {
    const { line } = this;
    return (line[a]! + a * a - line[b]! - b * b) / (2 * (a - b));
  }
}
