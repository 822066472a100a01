/**
 * Calendar arithmetic and strftime, as C's library does them in the C locale.
 *
 * Own arithmetic because a Date ends 275,000 years from now and has no way to say which of two equal local times is meant.
 */
import { zoneAt } from './time-zone.ts';

/** C's struct tm, with the year and month as people write them. */
export interface BrokenTime {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  /** 0 is the 1st of January. */
  readonly dayOfYear: number;
  readonly daylight: boolean;
  /** Seconds east of Greenwich. */
  readonly offset: number;
  readonly zone: string;
}

const DAY_SECONDS = 86_400;

/** Days from 1970-01-01 to the given day; `month` is 1 to 12 (the proleptic Gregorian calendar). */
export function daysFromEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function dateOfDays(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

/** `time`, whole seconds since the epoch, in UTC or in the process's time zone. */
export function breakTime(time: number, utc: boolean): BrokenTime {
  const zone = utc ? { offset: 0, abbreviation: 'GMT', daylight: false } : zoneAt(time);
  const local = time + zone.offset;
  const days = Math.floor(local / DAY_SECONDS);
  const seconds = local - days * DAY_SECONDS;
  const date = dateOfDays(days);
  return {
    ...date,
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: seconds % 60,
    weekday: (((days + 4) % 7) + 7) % 7,
    dayOfYear: days - daysFromEpoch(date.year, 1, 1),
    daylight: zone.daylight,
    offset: zone.offset,
    zone: zone.abbreviation,
  };
}

/**
 * C's mktime: seconds since the epoch of a local time whose fields may lie outside their ranges.
 * `daylight` says which is meant where clocks are set; null leaves it to the zone.
 */
export function localTime(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  daylight: boolean | null,
): number {
  const months = month - 1;
  const carried = year + Math.floor(months / 12);
  const days = daysFromEpoch(carried, (((months % 12) + 12) % 12) + 1, 1) + day - 1;
  const wall = days * DAY_SECONDS + hour * 3600 + minute * 60 + second;
  // The offset before and after a change of clocks nearby; equal on all other days.
  const earlier = zoneAt(wall - DAY_SECONDS);
  const later = zoneAt(wall + DAY_SECONDS);
  const fits = [earlier, later].filter((zone) => zoneAt(wall - zone.offset).offset === zone.offset);
  const chosen = fits.find((zone) => zone.daylight === daylight) ?? fits[0];
  if (chosen === undefined) return wall - (daylight === true ? later : earlier).offset; // In the hour that clocks skip.
  if (daylight === null || chosen.daylight === daylight) return wall - chosen.offset;
  // The zone has no such time then: what the clock would show had it been set, an hour apart where it never is (glibc).
  return wall - (nearestWith(daylight, wall) ?? chosen.offset + (daylight ? 3600 : -3600));
}

/** The offset with the given daylight flag that is nearest in time, within a year. */
function nearestWith(daylight: boolean, wall: number): number | null {
  for (let days = 7; days < 370; days += 7) {
    for (const zone of [zoneAt(wall - days * DAY_SECONDS), zoneAt(wall + days * DAY_SECONDS)]) {
      if (zone.daylight === daylight) return zone.offset;
    }
  }
  return null;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Week of the year whose first day is weekday `first`; 0 before the first such day. */
function weekOfYear(time: BrokenTime, first: number): number {
  return Math.floor((time.dayOfYear + 7 - ((time.weekday - first + 7) % 7)) / 7);
}

/** ISO 8601: weeks begin on Monday, week 1 holds the year's first Thursday. */
function isoWeek(time: BrokenTime): { year: number; week: number } {
  const thursday = daysFromEpoch(time.year, time.month, time.day) + 3 - ((time.weekday + 6) % 7);
  const { year } = dateOfDays(thursday);
  return { year, week: Math.floor((thursday - daysFromEpoch(year, 1, 1)) / 7) + 1 };
}

function offsetText(offset: number): string {
  const minutes = Math.floor(Math.abs(offset) / 60);
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

/** The text of one conversion of strftime, by its letter (without `%`, `E` or `O`), or null for an unknown one. */
export function timeText(time: BrokenTime, letter: string): string | null {
  const hour12 = ((time.hour + 11) % 12) + 1;
  const century = Math.floor(time.year / 100);
  const part = (letters: string): string => [...letters].map((each) => timeText(time, each) ?? each).join('');
  switch (letter) {
    case 'a':
      return DAYS[time.weekday]?.slice(0, 3) ?? '?';
    case 'A':
      return DAYS[time.weekday] ?? '?';
    case 'b':
    case 'h':
      return MONTHS[time.month - 1]?.slice(0, 3) ?? '?';
    case 'B':
      return MONTHS[time.month - 1] ?? '?';
    case 'c':
      return `${part('a b')} ${String(time.day).padStart(2)} ${part('T Y')}`;
    case 'C':
      return two(century);
    case 'd':
      return two(time.day);
    case 'D':
    case 'x':
      return part('m/d/y');
    case 'e':
      return String(time.day).padStart(2);
    case 'F':
      return part('Y-m-d');
    case 'g':
      return two(((isoWeek(time).year % 100) + 100) % 100);
    case 'G':
      return String(isoWeek(time).year);
    case 'H':
      return two(time.hour);
    case 'I':
      return two(hour12);
    case 'j':
      return String(time.dayOfYear + 1).padStart(3, '0');
    case 'm':
      return two(time.month);
    case 'M':
      return two(time.minute);
    case 'n':
      return '\n';
    case 'p':
      return time.hour < 12 ? 'AM' : 'PM';
    case 'r':
      return `${part('I:M:S')} ${part('p')}`;
    case 'R':
      return part('H:M');
    case 'S':
      return two(time.second);
    case 't':
      return '\t';
    case 'T':
    case 'X':
      return part('H:M:S');
    case 'u':
      return String(time.weekday === 0 ? 7 : time.weekday);
    case 'U':
      return two(weekOfYear(time, 0));
    case 'V':
      return two(isoWeek(time).week);
    case 'w':
      return String(time.weekday);
    case 'W':
      return two(weekOfYear(time, 1));
    case 'y':
      return two(((time.year % 100) + 100) % 100);
    case 'Y':
      return String(time.year);
    case 'z':
      return offsetText(time.offset);
    case 'Z':
      return time.zone;
    case '%':
      return '%';
    default:
      return null;
  }
}
