/**
 * Floats as text, as C's printf writes them in the C locale: correctly rounded, ties to even.
 *
 * JavaScript's toFixed, toExponential and toPrecision are correctly rounded too but for ties, which they round away
 * from zero; only there (and where they give up) the exact value is computed.
 */

export type FloatConversion = 'e' | 'f' | 'g' | 'a';

const bits = new DataView(new ArrayBuffer(8));

/**
 * `value` as `%e`, `%f`, `%g` or `%a` prints it, without padding.
 *
 * @param precision digits after the point, for `%g` significant digits; -1 for C's default.
 * @param alternate the `#` flag: the point and the trailing zeros of `%g` stay.
 */
export function formatFloat(
  value: number,
  conversion: FloatConversion,
  precision: number,
  alternate: boolean,
): string {
  bits.setFloat64(0, value);
  const sign = bits.getUint8(0) > 127 ? '-' : '';
  if (Number.isNaN(value)) return `${sign}nan`;
  const magnitude = Math.abs(value);
  if (magnitude === Infinity) return `${sign}inf`;
  const digits = precision < 0 ? 6 : precision;
  switch (conversion) {
    case 'f':
      return sign + withPoint(fixed(magnitude, digits), alternate);
    case 'e':
      return sign + exponential(magnitude, digits, alternate);
    case 'g':
      return sign + general(magnitude, digits === 0 ? 1 : digits, alternate);
    case 'a':
      return sign + hexadecimal(magnitude, precision, alternate);
  }
}

/** What `%.14g` prints: Lua's own text of a float, before `.0` is added to what looks like an integer. */
export function luaNumberText(value: number): string {
  const shortest = String(value);
  // Up to 14 digits and no exponent: the shortest text that reads back as the same number is what %.14g prints.
  if (shortest.length <= 14 && !/[eNI]/.test(shortest) && (value >= 1e-4 || value <= -1e-4)) return shortest;
  return formatFloat(value, 'g', 14, false);
}

function withPoint(text: string, alternate: boolean): string {
  return alternate && !text.includes('.') ? `${text}.` : text;
}

function fixed(magnitude: number, digits: number): string {
  // With `digits + 1` binary places the value may lie exactly between two results.
  const tie = Number.isInteger(magnitude * 2 ** (digits + 1)) && !Number.isInteger(magnitude * 2 ** digits);
  if (magnitude < 1e21 && digits <= 100 && !tie) return magnitude.toFixed(digits);
  const scaled = roundedQuotient(magnitude, 10n ** BigInt(digits), 1n)
    .toString()
    .padStart(digits + 1, '0');
  if (digits === 0) return scaled;
  return `${scaled.slice(0, -digits)}.${scaled.slice(-digits)}`;
}

/** The first `count` significant digits and the decimal exponent of the first one. */
function significant(magnitude: number, count: number): { digits: string; exponent: number } {
  if (magnitude === 0) return { digits: '0'.repeat(count), exponent: 0 };
  const precise = magnitude.toExponential(Math.min(count, 100));
  const exponent = Number(precise.slice(precise.indexOf('e') + 1));
  // toExponential(count) shows one digit more than wanted: a last digit of 5 may be a tie.
  if (count > 100 || (precise[count + 1] === '5' && Number(precise) === magnitude)) {
    return exactSignificant(magnitude, count, exponent);
  }
  const text = magnitude.toExponential(count - 1);
  const mark = text.indexOf('e');
  return { digits: text.slice(0, mark).replace('.', ''), exponent: Number(text.slice(mark + 1)) };
}

/** As significant, by whole numbers; `exponent` may be one too high after rounding up in toExponential. */
function exactSignificant(
  magnitude: number,
  count: number,
  exponent: number,
): { digits: string; exponent: number } {
  const shift = count - 1 - exponent;
  const scaled = roundedQuotient(
    magnitude,
    shift > 0 ? 10n ** BigInt(shift) : 1n,
    shift < 0 ? 10n ** BigInt(-shift) : 1n,
  ).toString();
  if (scaled.length > count) return { digits: scaled.slice(0, count), exponent: exponent + 1 };
  if (scaled.length < count) return exactSignificant(magnitude, count, exponent - 1);
  return { digits: scaled, exponent };
}

/** magnitude * multiplier / divisor, rounded to a whole number, ties to even. */
function roundedQuotient(magnitude: number, multiplier: bigint, divisor: bigint): bigint {
  const { mantissa, exponent } = binaryParts(magnitude);
  let numerator = mantissa * multiplier;
  let denominator = divisor;
  if (exponent > 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  const quotient = numerator / denominator;
  const twice = (numerator - quotient * denominator) * 2n;
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  return up ? quotient + 1n : quotient;
}

/** magnitude = mantissa * 2^exponent, exactly. */
function binaryParts(magnitude: number): { mantissa: bigint; exponent: number } {
  bits.setFloat64(0, magnitude);
  const raw = bits.getBigUint64(0);
  const biased = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xfffffffffffffn;
  if (biased === 0) return { mantissa: fraction, exponent: -1074 };
  return { mantissa: fraction | 0x10000000000000n, exponent: biased - 1075 };
}

function exponentText(exponent: number): string {
  const size = Math.abs(exponent);
  return `e${exponent < 0 ? '-' : '+'}${size < 10 ? '0' : ''}${size}`;
}

function exponential(magnitude: number, precision: number, alternate: boolean): string {
  const { digits, exponent } = significant(magnitude, precision + 1);
  const point = precision > 0 || alternate ? '.' : '';
  return `${digits[0]}${point}${digits.slice(1)}${exponentText(exponent)}`;
}

function general(magnitude: number, precision: number, alternate: boolean): string {
  const { digits, exponent } = significant(magnitude, precision);
  const kept = alternate ? digits : digits.replace(/0+$/, '') || '0';
  if (exponent < -4 || exponent >= precision) {
    const point = kept.length > 1 || alternate ? '.' : '';
    return `${kept[0]}${point}${kept.slice(1)}${exponentText(exponent)}`;
  }
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${kept}`;
  const whole = kept.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const rest = kept.slice(exponent + 1);
  return rest.length > 0 || alternate ? `${whole}.${rest}` : whole;
}

/** glibc's %a: one hexadecimal digit before the point, which is 1, or 0 for zero and subnormal numbers. */
function hexadecimal(magnitude: number, precision: number, alternate: boolean): string {
  bits.setFloat64(0, magnitude);
  const raw = bits.getBigUint64(0);
  const biased = Number(raw >> 52n);
  let fraction = raw & 0xfffffffffffffn;
  if (biased > 0) fraction |= 0x10000000000000n;
  if (precision >= 0 && precision < 13) {
    const drop = BigInt((13 - precision) * 4);
    const half = 1n << (drop - 1n);
    const rest = fraction & ((1n << drop) - 1n);
    fraction >>= drop;
    if (rest > half || (rest === half && fraction % 2n === 1n)) fraction += 1n;
    fraction <<= drop;
  }
  const text = fraction.toString(16).padStart(14, '0');
  let places = text.slice(1);
  places = precision < 0 ? places.replace(/0+$/, '') : places.padEnd(precision, '0').slice(0, precision);
  const exponent = magnitude === 0 ? 0 : Math.max(biased, 1) - 1023;
  const point = places.length > 0 || alternate ? '.' : '';
  return `0x${text[0]}${point}${places}p${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}`;
}
