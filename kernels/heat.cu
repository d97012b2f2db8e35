// Heating bioheat with boiling: RKL1 stages, coolants, sources, damage.
//
// Same state, units and scheme as the CPU twins, irplan/compute/cpu/heat.py and damage.py: v is the
// enthalpy relative to rest over the unboiled capacity, K; below boiling it is the temperature
// rise.
// Layout and tiles are those of tiles.cuh.
//
// cell: one byte a voxel, its tissue, with MIXED set where a neighbour is another tissue.
// tile_kind: one byte a tile, its tissue where all of the tile is that and not MIXED, else 255.
// tables: n rows of 8 (capacity, conductivity, its b, perfusion, metabolic heat, width of the
//   boiling interval in v, share of it that is temperature, unused), pair_g[axis][n][n] (over
//   distance squared, axes z, y, x), pair_b[n][n].
#include "tiles.cuh"

#define ROW 8
#define HEAT_COLUMNS 5  // perfusion, metabolic, from fixed tissue, through outer faces, source

enum { C, K, B, PERFUSION, METABOLIC, WIDTH, SHARE };

// Temperature rise of the state v.
__device__ static inline float rise_of(float v, const float* q, float boil)
{
    const float boiling = fminf(fmaxf(v - boil, 0.0f), q[WIDTH]);
    return v - boiling + boiling * q[SHARE];
}

// Integral of the relative conductivity from rest to t.
__device__ static inline float phi(float t, float b, float cap)
{
    const float tc = fminf(t, cap);
    return tc * (1.0f + b * tc) + (t - tc) * (1.0f + 2.0f * b * cap);
}

// (1 + tanh(stop - t)) / 2 by a rational function: within 0.012, exact beyond 3 K.
__device__ static inline float living(float t, float stop)
{
    const float x = fminf(fmaxf(stop - t, -3.0f), 3.0f), x2 = x * x;
    return 0.5f + 0.5f * x * (27.0f + x2) / (27.0f + 9.0f * x2);
}

// 1 / (1 + exp(-y)) by a continued fraction of tanh: within 3e-4 everywhere.
__device__ static inline float logistic(float y)
{
    const float x = fminf(fmaxf(0.5f * y, -4.97f), 4.97f), x2 = x * x;
    const float top = 135135.0f + x2 * (17325.0f + x2 * (378.0f + x2));
    const float low = 135135.0f + x2 * (62370.0f + x2 * (3150.0f + 28.0f * x2));
    return 0.5f + 0.5f * x * top / low;
}

// v0 (Y_j-2) becomes Y_j from v1 (Y_j-1).  given: power density, W/m3, inside the index box, times
// 1 / (1 + exp(d T - c)), T relative to rest (d = 0: as it is); held voxels take none.  alive: share
// of perfusion that is left, read where use_alive, else by temperature.  sums[block][5] gain fold
// times the block's rates, MJ/m3/s (see bioheat_stage).
extern "C" __global__ void __launch_bounds__(BLOCK) heat_stage(
    const float* __restrict__ v1, float* __restrict__ v0, const unsigned char* __restrict__ cell,
    const unsigned char* __restrict__ tile_kind, const float* __restrict__ tables, int n_tissues,
    float boil, float cap, float stop, int nz, int ny, int nx, int pitch,
    const int* __restrict__ window, float alpha, float beta, float gamma,
    const float* __restrict__ given, const int* __restrict__ source_box, float logit_c,
    float logit_d, const float* __restrict__ alive, int use_alive, double fold, double* sums)
{
    __shared__ float shared[HEAT_COLUMNS * BLOCK];
    __shared__ float table[TISSUES * ROW + 4 * TISSUES * TISSUES];
    const int thread = thread_number(), tile = blockIdx.x, plane = pitch * (ny + 2);
    const Box box = tile_box(tile, nz, ny, nx, window);
    if (empty(box)) return;
    const int square = n_tissues * n_tissues, count = n_tissues * ROW + 4 * square;
    for (int k = thread; k < count; k += BLOCK) table[k] = tables[k];
    __syncthreads();
    const float* pair_g = table + n_tissues * ROW;
    const float* pair_b = pair_g + 3 * square;
    const int uniform = tile_kind[tile];
    const int x = tile_x(tile, nx), y = tile_y(tile, nx, ny);
    float value[HEAT_COLUMNS] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1) {
        const bool lit = y >= source_box[2] && y < source_box[3] && x >= source_box[4]
            && x < source_box[5];
        int i = FRONT + (box.z0 + 1) * plane + (y + 1) * pitch + x;
        float v_low = v1[i - plane], v_here = v1[i];
        for (int z = box.z0; z < box.z1; ++z, i += plane) {
            const float v_high = v1[i + plane];
            const int code = uniform < 255 ? uniform : cell[i];
            const int own = code & ~MIXED;
            const float* q = table + ROW * own;
            if (q[C] > 0.0f) {
                const float near[6] = {v_low, v_high, v1[i - pitch], v1[i + pitch],
                                       v1[i - 1], v1[i + 1]};
                const float t = rise_of(v_here, q, boil);
                float lap = 0.0f;
                if (!(code & MIXED)) {
                    const float* g = pair_g + own * (n_tissues + 1);
                    const float twice = 2.0f * phi(t, q[B], cap);
#pragma unroll
                    for (int axis = 0; axis < 3; ++axis)
                        lap += g[axis * square]
                            * (phi(rise_of(near[2 * axis], q, boil), q[B], cap)
                               + phi(rise_of(near[2 * axis + 1], q, boil), q[B], cap) - twice);
                } else {
#pragma unroll
                    for (int f = 0; f < 6; ++f) {
                        const int step = f < 2 ? plane : f < 4 ? pitch : 1;
                        const int there = cell[f % 2 ? i + step : i - step] & ~MIXED;
                        const float* other = table + ROW * there;
                        const int at = own * n_tissues + there;
                        const float b = pair_b[at];
                        const float in = pair_g[f / 2 * square + at]
                            * (phi(rise_of(near[f], other, boil), b, cap) - phi(t, b, cap));
                        lap += in;
                        if (other[C] <= 0.0f) value[2] += in;
                    }
                }
                const float part = use_alive ? alive[i] : living(t, stop);
                const float blood = -q[PERFUSION] * t * part, metabolic = q[METABOLIC] * part;
                value[0] += blood;
                value[1] += metabolic;
                const int faces_z = (z == 0) + (z == nz - 1), faces_y = (y == 0) + (y == ny - 1);
                const int faces_x = (x == 0) + (x == nx - 1);
                if (faces_z + faces_y + faces_x > 0) {
                    const float* g = pair_g + own * (n_tissues + 1);
                    value[3] -= (faces_z * g[0] + faces_y * g[square] + faces_x * g[2 * square])
                        * phi(t, q[B], cap);
                }
                float power = 0.0f;
                if (lit && z >= source_box[0] && z < source_box[1]) {
                    const int wide = source_box[5] - source_box[4];
                    const int deep = source_box[3] - source_box[2];
                    power = 1e-6f * given[((z - source_box[0]) * deep + y - source_box[2]) * wide
                                          + x - source_box[4]];
                    if (logit_d != 0.0f) power *= logistic(logit_c - logit_d * t);
                    value[4] += power;
                }
                v0[i] = alpha * v_here + beta * v0[i]
                    + gamma / q[C] * (lap + blood + metabolic + power);
            }
            v_low = v_here;
            v_here = v_high;
        }
    }
    __syncthreads();
    block_sum(shared, value, HEAT_COLUMNS);
    if (thread == 0)
        for (int c = 0; c < HEAT_COLUMNS; ++c)
            sums[tile * HEAT_COLUMNS + c] += fold * (double)value[c];
}

// heat[m] of sample m of the coolants, MJ/m3/s: per_volume (coolant - mean T) / (log / mean k +
// film).  One block a sample; coolant is NaN where it does not flow.
extern "C" __global__ void __launch_bounds__(BLOCK) heat_gather(
    const float* __restrict__ v1, const unsigned char* __restrict__ cell,
    const float* __restrict__ tables, float boil, float cap, const int* __restrict__ sample_ptr,
    const int* __restrict__ entry, const float* __restrict__ entry_weight,
    const int* __restrict__ sample_sink, const float* __restrict__ coolant,
    const float* __restrict__ log_part, const float* __restrict__ film_part,
    const float* __restrict__ per_volume, double* heat)
{
    __shared__ float shared[2 * BLOCK];
    const int m = blockIdx.x, sink = sample_sink[m];
    float value[2] = {0.0f, 0.0f};  // weighted means of temperature and conductivity
    if (isnan(coolant[sink])) {
        if (thread_number() == 0) heat[m] = 0.0;
        return;
    }
    for (int e = sample_ptr[m] + thread_number(); e < sample_ptr[m + 1]; e += BLOCK) {
        const float* q = tables + ROW * (cell[entry[e]] & ~MIXED);
        const float t = rise_of(v1[entry[e]], q, boil);
        value[0] += entry_weight[e] * t;
        value[1] += entry_weight[e] * q[K] * (1.0f + 2.0f * q[B] * fminf(t, cap));
    }
    block_sum(shared, value, 2);
    if (thread_number() == 0)
        heat[m] = (double)per_volume[sink] * (double)(coolant[sink] - value[0])
            / (double)(log_part[sink] / value[1] + film_part[sink]);
}

// Adds gamma * (heat of the samples that reach it) to each voxel of the coolants; one thread a
// voxel, each listed once.  lost[v] gains fold times what fell on a voxel of fixed temperature.
extern "C" __global__ void heat_scatter(
    float* v0, const unsigned char* __restrict__ cell, const float* __restrict__ tables,
    float gamma, double fold, int voxels, const int* __restrict__ voxel,
    const int* __restrict__ voxel_ptr, const int* __restrict__ voxel_sample,
    const float* __restrict__ voxel_weight, const double* __restrict__ heat, double* lost)
{
    const int n = blockIdx.x * blockDim.x + threadIdx.x;
    if (n >= voxels) return;
    double given = 0.0;
    for (int e = voxel_ptr[n]; e < voxel_ptr[n + 1]; ++e)
        given += (double)voxel_weight[e] * heat[voxel_sample[e]];
    const float capacity = tables[ROW * (cell[voxel[n]] & ~MIXED) + C];
    if (capacity > 0.0f)
        v0[voxel[n]] += gamma * (float)given / capacity;
    else
        lost[n] += fold * given;
}

// Linear interpolation in a table whose entry 0 is at `first` with `per_k` a kelvin.
__device__ static inline float rate_at(float t, const float* table, int size, float first,
                                       float per_k)
{
    const float x = fminf(fmaxf((t - first) * per_k, 0.0f), (float)size - 1.001f);
    const int n = (int)x;
    return table[n] + (x - (float)n) * (table[n + 1] - table[n]);
}

// Mean rate while temperature goes from t0 to t1: one point, or panels of two Gauss points.
__device__ static inline float mean_rate(float t0, float t1, const float* table, int size,
                                         float first, float per_k)
{
    const float span = fabsf(t1 - t0);
    if (span <= 0.15f) return rate_at(0.5f * (t0 + t1), table, size, first, per_k);
    const int panels = (int)span + 1;
    const float part = (t1 - t0) / (float)panels;
    float mean = 0.0f;
    for (int n = 0; n < panels; ++n) {
        const float middle = t0 + ((float)n + 0.5f) * part;
        mean += rate_at(middle - 0.28867513f * part, table, size, first, per_k);
        mean += rate_at(middle + 0.28867513f * part, table, size, first, per_k);
    }
    return mean * 0.5f / (float)panels;
}

struct Cells { float alive, dead; };

__device__ static inline Cells cell_rates(Cells s, float kf, float kb)
{
    const float forward = kf * (1.0f - s.alive), vulnerable = 1.0f - s.alive - s.dead;
    Cells r = {kb * vulnerable - forward * s.alive, forward * vulnerable};
    return r;
}

__device__ static inline Cells plus(Cells s, float f, Cells r)
{
    Cells out = {s.alive + f * r.alive, s.dead + f * r.dead};
    return out;
}

// One classical Runge-Kutta step of the three-state model, temperature linear from t0 to t1.
__device__ static inline Cells cell_step(Cells s, float t0, float t1, float dt, float kb,
                                         const float* table, int size, float first, float per_k)
{
    const float k0 = rate_at(t0, table, size, first, per_k);
    const float km = rate_at(0.5f * (t0 + t1), table, size, first, per_k);
    const float k1 = rate_at(t1, table, size, first, per_k);
    const Cells r1 = cell_rates(s, k0, kb), r2 = cell_rates(plus(s, 0.5f * dt, r1), km, kb);
    const Cells r3 = cell_rates(plus(s, 0.5f * dt, r2), km, kb);
    const Cells r4 = cell_rates(plus(s, dt, r3), k1, kb);
    const float sixth = dt / 6.0f;
    Cells out = {s.alive + sixth * (r1.alive + 2.0f * (r2.alive + r3.alive) + r4.alive),
                 s.dead + sixth * (r1.dead + 2.0f * (r2.dead + r3.dead) + r4.dead)};
    return out;
}

// After a super-step of dt seconds, inside the window: highest = max(highest, v), and each damage
// model's state.  kind[m] 0: a dose (state += the tabulated rate's integral, up to param[m]); 1:
// the three-state model (alive, dead; param[m] is its backward rate), in steps of dt / cell_steps.
// states hold the models' states one volume after another, model m from volume first_state[m] on.
// before: temperature at the step's start; NEVER (or less) where the voxel has not yet been above
// `warm`: such voxels keep the state of tissue at rest, rest[].  alive becomes what model
// alive_model leaves of perfusion (-1: none does).
#define NEVER -1e30f
extern "C" __global__ void __launch_bounds__(BLOCK) heat_damage(
    const float* __restrict__ v, float* highest, float* before,
    const unsigned char* __restrict__ cell, const float* __restrict__ tables, float boil,
    int nz, int ny, int nx, int pitch, const int* __restrict__ window, float warm, float dt,
    int cell_steps, int models, const int* __restrict__ kind, const float* __restrict__ param,
    const int* __restrict__ first_state, const float* __restrict__ rates, int size, float first,
    float per_k, const float* __restrict__ rest, float* states, float* alive, int alive_model)
{
    const int plane = pitch * (ny + 2);
    const long long volume = FRONT + (long long)plane * (nz + 2);
    const Box box = tile_box(blockIdx.x, nz, ny, nx, window);
    const int x = tile_x(blockIdx.x, nx), y = tile_y(blockIdx.x, nx, ny);
    if (x < box.x0 || x >= box.x1 || y < box.y0 || y >= box.y1) return;
    for (int z = box.z0; z < box.z1; ++z) {
        const int i = FRONT + (z + 1) * plane + (y + 1) * pitch + x;
        const float now = v[i];
        highest[i] = fmaxf(highest[i], now);
        if (models == 0) continue;
        float t0 = before[i];
        const bool fresh = t0 <= NEVER;
        if (fresh) {
            if (now <= warm) continue;
            t0 = warm;
        }
        const float t1 = rise_of(now, tables + ROW * (cell[i] & ~MIXED), boil);
        for (int m = 0; m < models; ++m) {
            const float* table = rates + m * size;
            float* state = states + first_state[m] * volume + i;
            if (kind[m] == 0) {
                const float old = fresh ? rest[first_state[m]] : *state;
                *state = fminf(old + dt * mean_rate(t0, t1, table, size, first, per_k), param[m]);
            } else {
                Cells s = {fresh ? rest[first_state[m]] : state[0],
                           fresh ? rest[first_state[m] + 1] : state[volume]};
                const float part = (t1 - t0) / (float)cell_steps, step = dt / (float)cell_steps;
                for (int n = 0; n < cell_steps; ++n) {
                    const float low = t0 + (float)n * part;
                    s = cell_step(s, low, low + part, step, param[m], table, size, first, per_k);
                }
                state[0] = s.alive;
                state[volume] = s.dead;
            }
            if (m == alive_model) alive[i] = kind[m] == 0 ? expf(-*state) : *state;
        }
        before[i] = t1;
    }
}

// Temperature of every voxel as dense (z, y, x) in degC, and per block the stored energy, MJ/m3.
extern "C" __global__ void __launch_bounds__(BLOCK) heat_read_out(
    const float* __restrict__ v, const unsigned char* __restrict__ cell,
    const float* __restrict__ tables, float boil, int nz, int ny, int nx, int pitch, float body,
    float* out, double* sums)
{
    __shared__ float shared[BLOCK];
    const int plane = pitch * (ny + 2), whole[6] = {0, nz, 0, ny, 0, nx};
    const Box box = tile_box(blockIdx.x, nz, ny, nx, whole);
    const int x = tile_x(blockIdx.x, nx), y = tile_y(blockIdx.x, nx, ny);
    float stored = 0.0f;
    if (x < box.x1 && y < box.y1)
        for (int z = box.z0; z < box.z1; ++z) {
            const int i = FRONT + (z + 1) * plane + (y + 1) * pitch + x;
            const float* q = tables + ROW * (cell[i] & ~MIXED);
            stored += v[i] * q[C];
            out[(z * ny + y) * nx + x] = body + rise_of(v[i], q, boil);
        }
    block_sum(shared, &stored, 1);
    if (thread_number() == 0) sums[blockIdx.x] = (double)stored;
}
