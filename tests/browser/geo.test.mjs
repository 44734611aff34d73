// Places, distances and the projection of the maps.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { distance, metres, metresPerUnit, project, roundDown, unproject } from '../../src/dashboard/assets/geo.js';

const BERLIN = { lat: 52.52, lng: 13.4 };
const HAMBURG = { lat: 53.55, lng: 9.99 };

test('distances are those of the earth', () => {
  assert.ok(Math.abs(metres(BERLIN, HAMBURG) - 255_000) < 1_500);
  assert.equal(metres(BERLIN, BERLIN), 0);
});

test('distances are told in round words', () => {
  const told = [3, 84, 994, 996, 1_240, 9_949, 9_951, 14_400].map(distance);
  assert.deepEqual(told, ['0 m', '80 m', '990 m', '1 km', '1.2 km', '9.9 km', '10 km', '14 km']);
});

test('a place comes back from the projection', () => {
  for (const place of [BERLIN, { lat: -33.9, lng: 151.2 }, { lat: 0, lng: -179 }]) {
    const { lat, lng } = unproject(project(place));
    assert.ok(Math.abs(lat - place.lat) < 1e-9 && Math.abs(lng - place.lng) < 1e-9);
  }
});

test('lengths on the map are lengths on the ground', () => {
  const [from, to] = [project(BERLIN), project({ ...BERLIN, lng: 13.41 })];
  const drawn = (to.x - from.x) * metresPerUnit(from.y);
  assert.ok(Math.abs(drawn - metres(BERLIN, { ...BERLIN, lng: 13.41 })) < 1);
});

test('a scale is 1, 2 or 5 of something', () => {
  assert.deepEqual([1, 4.9, 5, 49, 730, 2_100].map(roundDown), [1, 2, 5, 20, 500, 2_000]);
});
