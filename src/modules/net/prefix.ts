/** Networks of addresses. */
import type { Address } from '../../dns/name.ts';
import { shortIPv6 } from '../../milter/connect.ts';

/** The network that an address is in: `192.0.2.0/24`, `2001:db8::/64`. */
export function prefixOf({ family, parts }: Address, bits: number): string {
  const width = family === 4 ? 8 : 16;
  const kept = parts.map((part, i) => {
    const rest = Math.max(0, width - Math.max(0, bits - i * width)); // Bits of this part behind the prefix.
    return part & ~((1 << rest) - 1);
  });
  const text = family === 4 ? kept.join('.') : shortIPv6(kept.map((part) => part.toString(16)).join(':'));
  return `${text}/${bits}`;
}
