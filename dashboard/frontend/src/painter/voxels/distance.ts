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

/** The index of the inside cell that lies nearest to each cell. */
export function nearestCells({ width, height, cells }: Mask): Int32Array {
  return transformed(cells, width, height, 1).nearest;
}

/** The distance of each cell to the nearest cell of a value; very large where there is none. */
function distancesTo(
  cells: Uint8Array,
  width: number,
  height: number,
  value: number,
): Float64Array {
  return transformed(cells, width, height, value).squares.map(Math.sqrt);
}

function transformed(
  cells: Uint8Array,
  width: number,
  height: number,
  value: number,
): { squares: Float64Array; nearest: Int32Array } {
  const squares = new Float64Array(cells.length);
  const nearest = new Int32Array(cells.length);
  for (let i = 0; i < cells.length; i++) {
    squares[i] = cells[i] === value ? 0 : FAR;
    nearest[i] = i;
  }
  const envelope = new Envelope(Math.max(width, height), squares, nearest);
  for (let column = 0; column < width; column++) envelope.apply(column, width, height);
  for (let row = 0; row < height; row++) envelope.apply(row * width, 1, width);
  return { squares, nearest };
}

/** One line of squared distances at a time, and of the cells that they lead to. */
class Envelope {
  private readonly line: Float64Array;
  private readonly sources: Int32Array;
  private readonly vertices: Int32Array;
  private readonly starts: Float64Array; // where each vertex' parabola becomes the lowest

  constructor(
    most: number,
    private readonly squares: Float64Array,
    private readonly nearest: Int32Array,
  ) {
    this.line = new Float64Array(most);
    this.sources = new Int32Array(most);
    this.vertices = new Int32Array(most);
    this.starts = new Float64Array(most + 1);
  }

  apply(first: number, step: number, count: number): void {
    const { line, sources, vertices, starts, squares, nearest } = this;
    for (let i = 0; i < count; i++) {
      line[i] = squares[first + i * step]!;
      sources[i] = nearest[first + i * step]!;
    }
    this.build(count);
    for (let i = 0, k = 0; i < count; i++) {
      while (starts[k + 1]! < i) k++;
      const vertex = vertices[k]!;
      squares[first + i * step] = (i - vertex) ** 2 + line[vertex]!;
      nearest[first + i * step] = sources[vertex]!;
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
