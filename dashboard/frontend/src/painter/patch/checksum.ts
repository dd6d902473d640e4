// sha256 of voxels: the browser's own where it has one; it has none on plain http of another host.

const ROUNDS = 64;

export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const { subtle } = globalThis.crypto;
  if (!subtle) return sha256InScript(bytes);
  return hex(new Uint8Array(await subtle.digest("SHA-256", bytes)));
}

/** FIPS 180-4, word by word. */
export function sha256InScript(bytes: Uint8Array): string {
  const state = fractions(2, 8);
  const constants = fractions(3, ROUNDS);
  const padded = pad(bytes);
  const view = new DataView(padded.buffer);
  const words = new Int32Array(ROUNDS);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < ROUNDS; i++) words[i] = extended(words, i);
    compress(state, words, constants);
  }
  const out = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => out.setInt32(4 * i, word));
  return hex(new Uint8Array(out.buffer));
}

function compress(state: Int32Array, words: Int32Array, constants: Int32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < ROUNDS; i++) {
    const choice = (e & f) ^ (~e & g);
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const first = (h + s1 + choice + constants[i]! + words[i]!) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + s0 + majority) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] = (state[i]! + word) | 0));
}

function extended(words: Int32Array, i: number): number {
  const near = words[i - 2]!;
  const far = words[i - 15]!;
  const s1 = turn(near, 17) ^ turn(near, 19) ^ (near >>> 10);
  const s0 = turn(far, 7) ^ turn(far, 18) ^ (far >>> 3);
  return (words[i - 16]! + s0 + words[i - 7]! + s1) | 0;
}

function pad(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  new DataView(padded.buffer).setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  return padded;
}

/** The first 32 bits of the fractional parts of roots of the first primes, exactly. */
function fractions(root: 2 | 3, count: number): Int32Array {
  const constants = new Int32Array(count);
  for (let number = 2, i = 0; i < count; number++) {
    if (isPrime(number))
      constants[i++] = Number(
        BigInt.asIntN(32, integerRoot(BigInt(number) << BigInt(32 * root), root)),
      );
  }
  return constants;
}

function integerRoot(value: bigint, root: 2 | 3): bigint {
  let low = 0n;
  let high = 1n << 48n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(root) <= value) low = middle;
    else high = middle;
  }
  return low;
}

function isPrime(number: number): boolean {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return true;
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
