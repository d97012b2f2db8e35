// Enthalpy bioheat of one or many problems on one grid: RKL1 stages, line sources, records.
//
// Same state, units and scheme as the CPU twin, irplan/compute/cpu/bioheat.py: tau = T - T_body (K,
// zero at rest), u = enthalpy relative to rest (MJ/m3), theta = integral of k dT from body
// temperature (W/m), lengths in mm, times in s.
//
// Layout, tiles and the rules of summation are those of tiles.cuh.  blockIdx.y is the problem of a
// batch; a *_stride is what lies between two problems' data, 0 where they share it.
//
// cell: one byte a voxel, its tissue, with MIXED set where a neighbour is another tissue.
// tile_kind: one byte a tile, its tissue where all of the tile is that and not MIXED, else 255.
// tables: n rows of ROW floats (see the enum), then pair[axis][step][n][n], the
//   conductivity between two tissues over the distance squared, axes z, y, x; steps: unfrozen,
//   what mushy and what frozen differ from the one before.

#include "tiles.cuh"

#define COLUMNS 4        // perfusion, metabolic, from fixed tissue, through the outer faces
#define LEAST_SPAN 1.0f  // K, as in the CPU twin

enum {  // columns of a row
    DK, DC = DK + 3,  // conductivity unfrozen, what mushy and frozen add; capacity of each phase
    DI = DC + 3,      // 1 / capacity of each phase
    UL = DI + 3, US,  // u at liquidus and solidus
    PERFUSION, METABOLIC,
    ROW
};

__device__ static inline float below(float x, float level) { return fminf(x - level, 0.0f); }

__device__ static inline float theta_of(float t, const float* q, float tl, float ts)
{
    return q[DK] * t + q[DK + 1] * below(t, tl) + q[DK + 2] * below(t, ts);
}

__device__ static inline float u_of(float t, const float* q, float tl, float ts)
{
    return fmaxf(q[DC] * t, q[UL]) + q[DC + 1] * (fminf(fmaxf(t, ts), tl) - tl)
        + q[DC + 2] * below(t, ts);
}

__device__ static inline float tau_of(float u, const float* q, float tl)
{
    return fmaxf(q[DI] * u, tl) + q[DI + 1] * (fminf(fmaxf(u, q[US]), q[UL]) - q[UL])
        + q[DI + 2] * below(u, q[US]);
}

// Surface tau behind a contact resistance: solves T + contact theta(T) = goal + contact ref.
__device__ static inline float surface_of(float goal, float contact, float ref, const float* q,
                                          float tl, float ts)
{
    float right = goal + contact * ref;
    float at_l = tl + contact * theta_of(tl, q, tl, ts);
    float at_s = ts + contact * theta_of(ts, q, tl, ts);
    if (right >= at_l) return right / (1.0f + contact * q[DK]);
    if (right >= at_s) return tl + (right - at_l) / (1.0f + contact * (q[DK] + q[DK + 1]));
    return ts + (right - at_s) / (1.0f + contact * (q[DK] + q[DK + 1] + q[DK + 2]));
}

// ta0 (Y_j-2) becomes Y_j from ta1 (Y_j-1).  The first `gather_blocks` blocks of a problem do not
// touch voxels: block m finds the heat of sample m of the line sources from ta1,
// heat[m] = strength[m] * sum of weight * (theta at the probe's surface - theta), for
// bioheat_scatter to add.  drives[clock][stage][probe] is a probe's working tau (NaN: off),
// contact[m] its contact resistance (K per W/m), middle[m] the voxel the sample lies in.
// sums[block][COLUMNS] gain fold times the block's rates, MJ/m3/s; fold is the stage's share of the
// super-step's energy under the RKL recursion (which is linear).
extern "C" __global__ void __launch_bounds__(BLOCK) bioheat_stage(
    const float* __restrict__ ta1_all, float* __restrict__ ta0_all,
    const unsigned char* __restrict__ cell_all, long long cell_stride,
    const unsigned char* __restrict__ tile_kind_all, int tile_stride,
    const float* __restrict__ tables, int table_stride,
    const int* __restrict__ tissue_counts, float tl, float ts,
    int nz, int ny, int nx, int pitch, const int* __restrict__ windows,
    float weight_z, float weight_y, float weight_x,
    float alpha, float beta, float gamma, double fold, double* sums,
    int gather_blocks, const int* __restrict__ problem_sample, const int* __restrict__ sample_ptr,
    const int* __restrict__ entry, const float* __restrict__ entry_weight,
    const float* __restrict__ strength, const float* __restrict__ contact,
    const int* __restrict__ middle, const int* __restrict__ sample_probe,
    const float* __restrict__ drives, int stages, int stage, int probes,
    const int* __restrict__ clock, double* heat)
{
    __shared__ float shared[COLUMNS * BLOCK];
    __shared__ float table[TISSUES * ROW + 9 * TISSUES * TISSUES];
    const int problem = blockIdx.y, thread = thread_number();
    const int plane = pitch * (ny + 2);
    const long long size = FRONT + (long long)plane * (nz + 2);
    const float* ta1 = ta1_all + problem * size;
    const unsigned char* cell = cell_all + problem * cell_stride;
    const float* own_table = tables + (long long)problem * table_stride;
    float value[COLUMNS] = {0.0f, 0.0f, 0.0f, 0.0f};

    if ((int)blockIdx.x < gather_blocks) {
        const int m = problem_sample[problem] + blockIdx.x;
        if (m >= problem_sample[problem + 1]) return;
        const float work = drives[(clock[2 * problem] * stages + stage) * probes + sample_probe[m]];
        if (isnan(work)) {
            if (thread == 0) heat[m] = 0.0;
            return;
        }
        for (int e = sample_ptr[m] + thread; e < sample_ptr[m + 1]; e += BLOCK) {
            const int i = entry[e];
            const float* q = own_table + ROW * (cell[i] & ~MIXED);
            value[0] += entry_weight[e] * (theta_of(work, q, tl, ts) - theta_of(ta1[i], q, tl, ts));
        }
        block_sum(shared, value, 1);
        if (thread == 0) {
            float total = value[0];
            if (contact[m] > 0.0f) {
                const float* q = own_table + ROW * (cell[middle[m]] & ~MIXED);
                const float at_work = theta_of(work, q, tl, ts);
                const float surface = surface_of(work, contact[m], at_work - total, q, tl, ts);
                total += theta_of(surface, q, tl, ts) - at_work;
            }
            heat[m] = (double)strength[m] * (double)total;
        }
        return;
    }

    const int tile = blockIdx.x - gather_blocks, tiles = gridDim.x - gather_blocks;
    const Box box = tile_box(tile, nz, ny, nx, windows + 6 * problem);
    if (empty(box)) return;
    const int n_tissues = tissue_counts[problem];
    const int uniform = tile_kind_all[(long long)problem * tile_stride + tile];
    const float* q = own_table + ROW * (uniform < 255 ? uniform : 0);
    if (uniform == 255) {
        const int count = n_tissues * ROW + 9 * n_tissues * n_tissues;
        for (int k = thread; k < count; k += BLOCK) table[k] = own_table[k];
        __syncthreads();
    }
    const float* pair = table + n_tissues * ROW;
    const int square = n_tissues * n_tissues;
    const int x = tile_x(tile, nx), y = tile_y(tile, nx, ny);
    if (x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1) {
        float* ta0 = ta0_all + problem * size;
        const float across = weight_y * ((y == 0) + (y == ny - 1))
            + weight_x * ((x == 0) + (x == nx - 1));
        const float twice = 2.0f * (weight_x + weight_y + weight_z);
        int i = FRONT + (box.z0 + 1) * plane + (y + 1) * pitch + x;
        float t_low = ta1[i - plane], t = ta1[i];
        for (int z = box.z0; z < box.z1; ++z, i += plane) {
            const float t_high = ta1[i + plane];
            const int code = uniform < 255 ? uniform : cell[i];
            const int own = code & ~MIXED;
            if (uniform == 255) q = table + ROW * own;
            if (q[DC] > 0.0f) {
                const float near[6] = {t_low, t_high, ta1[i - pitch], ta1[i + pitch],
                                       ta1[i - 1], ta1[i + 1]};
                const float tm = below(t, tl), tf = below(t, ts);
                float lap = 0.0f;
                if (!(code & MIXED)) {
                    float mushy = 0.0f, frozen = 0.0f;
#pragma unroll
                    for (int f = 0; f < 6; ++f) {
                        const float w = f < 2 ? weight_z : f < 4 ? weight_y : weight_x;
                        lap += w * near[f];
                        mushy += w * below(near[f], tl);
                        frozen += w * below(near[f], ts);
                    }
                    lap = q[DK] * (lap - twice * t) + q[DK + 1] * (mushy - twice * tm)
                        + q[DK + 2] * (frozen - twice * tf);
                } else {
#pragma unroll
                    for (int f = 0; f < 6; ++f) {
                        const int step = f < 2 ? plane : f < 4 ? pitch : 1;
                        const int there = cell[f % 2 ? i + step : i - step] & ~MIXED;
                        const float* g = pair + f / 2 * 3 * square + own * n_tissues + there;
                        const float in = g[0] * (near[f] - t)
                            + g[square] * (below(near[f], tl) - tm)
                            + g[2 * square] * (below(near[f], ts) - tf);
                        lap += in;
                        if (table[ROW * there + DC] <= 0.0f) value[2] += in;
                    }
                }
                // perfusion acts on the part of a voxel that the liquidus leaves unfrozen: above it
                // by the gradient towards the warm side, below it by the liquid part as well
                const float span = fmaxf(fmaxf(near[0], near[1]) + fmaxf(near[2], near[3])
                                         + fmaxf(near[4], near[5]) - 3.0f * t, LEAST_SPAN);
                const float over = t - tl;
                const float part = fminf(1.0f, fmaxf(0.0f, 0.5f + over / span
                                                     + 0.5f / (tl - ts) * fminf(over, 0.0f)));
                const float blood = -q[PERFUSION] * part * fmaxf(t, tl);
                const float metabolic = q[METABOLIC] * part;
                value[0] += blood;
                value[1] += metabolic;
                const float outside = across + weight_z * ((z == 0) + (z == nz - 1));
                if (outside > 0.0f) value[3] -= outside * theta_of(t, q, tl, ts);
                const float u = alpha * u_of(t, q, tl, ts) + beta * u_of(ta0[i], q, tl, ts)
                    + gamma * (lap + blood + metabolic);
                ta0[i] = tau_of(u, q, tl);
            }
            t_low = t;
            t = t_high;
        }
    }
    __syncthreads();
    block_sum(shared, value, COLUMNS);
    if (thread == 0) {
        double* sum = sums + ((long long)problem * tiles + tile) * COLUMNS;
        for (int c = 0; c < COLUMNS; ++c) sum[c] += fold * (double)value[c];
    }
}

// Adds gamma * (heat of the samples that reach it) to u of each voxel that a line source reaches;
// one thread a voxel, each voxel listed once.  lost[v] gains fold times what fell on a voxel of
// fixed temperature (it is not stored); power[p] gains fold times the heat of probe p (the last
// block's work).  problem_voxel, problem_probe: where each problem's voxels and probes begin.
extern "C" __global__ void bioheat_scatter(
    float* ta0_all, const unsigned char* __restrict__ cell_all, long long cell_stride,
    const float* __restrict__ tables, int table_stride, float tl, float ts, int nz, int ny,
    int pitch, float gamma, double fold, const int* __restrict__ problem_voxel,
    const int* __restrict__ voxel, const int* __restrict__ voxel_ptr,
    const int* __restrict__ voxel_sample, const float* __restrict__ voxel_weight,
    const int* __restrict__ problem_probe, const int* __restrict__ probe_sample,
    const double* __restrict__ heat, double* lost, double* power)
{
    const int problem = blockIdx.y;
    if (blockIdx.x == gridDim.x - 1) {
        for (int p = problem_probe[problem] + threadIdx.x; p < problem_probe[problem + 1];
             p += blockDim.x) {
            double sum = 0.0;
            for (int m = probe_sample[p]; m < probe_sample[p + 1]; ++m) sum += heat[m];
            power[p] += fold * sum;
        }
        return;
    }
    const int v = problem_voxel[problem] + blockIdx.x * blockDim.x + threadIdx.x;
    if (v >= problem_voxel[problem + 1]) return;
    double source = 0.0;
    for (int e = voxel_ptr[v]; e < voxel_ptr[v + 1]; ++e)
        source += (double)voxel_weight[e] * heat[voxel_sample[e]];
    const long long size = FRONT + (long long)pitch * (ny + 2) * (nz + 2);
    float* ta0 = ta0_all + problem * size + voxel[v];
    const float* q = tables + (long long)problem * table_stride
        + ROW * (cell_all[problem * cell_stride + voxel[v]] & ~MIXED);
    if (q[DC] <= 0.0f)
        lost[v] += fold * source;
    else
        *ta0 = tau_of(u_of(*ta0, q, tl, ts) + gamma * (float)source, q, tl);
}

// After a super-step, inside each window: low = min(low, tau) if keep_low; frozen counts voxels at
// or below `ice`; reach[6] says by how many layers each face of the window must move so that the
// outermost layer further than `tolerance` from rest is `deep` layers inside; rise is the largest
// |tau| of free voxels at the grid's own faces, the bits of a float (monotonic for values >= 0).
extern "C" __global__ void __launch_bounds__(BLOCK) bioheat_record(
    const float* __restrict__ ta_all, float* low_all, int keep_low,
    const unsigned char* __restrict__ cell_all, long long cell_stride,
    const float* __restrict__ tables, int table_stride,
    int nz, int ny, int nx, int pitch, const int* __restrict__ windows, float ice,
    float tolerance, int deep_z, int deep_y, int deep_x, int* frozen, int* reach, int* rise)
{
    __shared__ int shared[8];
    const int problem = blockIdx.y, thread = thread_number(), plane = pitch * (ny + 2);
    const int* window = windows + 6 * problem;
    const Box box = tile_box(blockIdx.x, nz, ny, nx, window);
    if (empty(box)) return;
    if (thread < 8) shared[thread] = 0;
    __syncthreads();
    const int x = tile_x(blockIdx.x, nx), y = tile_y(blockIdx.x, nx, ny);
    if (x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1) {
        const long long base = problem * (FRONT + (long long)plane * (nz + 2));
        const unsigned char* cell = cell_all + problem * cell_stride;
        const float* own_table = tables + (long long)problem * table_stride;
        const bool at_side = x == 0 || x == nx - 1 || y == 0 || y == ny - 1;
        int count = 0, need[6] = {0, 0, 0, 0, 0, 0};
        float worst = 0.0f;
        int i = FRONT + (box.z0 + 1) * plane + (y + 1) * pitch + x;
        for (int z = box.z0; z < box.z1; ++z, i += plane) {
            const float t = ta_all[base + i];
            if (keep_low) low_all[base + i] = fminf(low_all[base + i], t);
            count += t <= ice;
            if (fabsf(t) <= tolerance) continue;
            need[0] = max(need[0], deep_z - (z - window[0]));
            need[1] = max(need[1], deep_z - (window[1] - 1 - z));
            need[2] = max(need[2], deep_y - (y - window[2]));
            need[3] = max(need[3], deep_y - (window[3] - 1 - y));
            need[4] = max(need[4], deep_x - (x - window[4]));
            need[5] = max(need[5], deep_x - (window[5] - 1 - x));
            if ((at_side || z == 0 || z == nz - 1)
                && own_table[ROW * (cell[i] & ~MIXED) + DC] > 0.0f)
                worst = fmaxf(worst, fabsf(t));
        }
        if (count) atomicAdd(&shared[6], count);
        for (int f = 0; f < 6; ++f)
            if (need[f] > 0) atomicMax(&shared[f], need[f]);
        if (worst > 0.0f) atomicMax(&shared[7], __float_as_int(worst));
    }
    __syncthreads();
    if (thread < 6 && shared[thread] > 0) atomicMax(&reach[6 * problem + thread], shared[thread]);
    if (thread == 6 && shared[6] > 0) atomicAdd(&frozen[problem], shared[6]);
    if (thread == 7 && shared[7] > 0) atomicMax(&rise[problem], shared[7]);
}

// One block a problem, after bioheat_record: moves the window's faces, writes row clock[1] of the
// trace (frozen voxels; mean tau along each probe; tau at the monitor points, each a weighted sum
// over 8 voxels) and counts both clocks on: clock[0] within the segment, clock[1] over the run.
extern "C" __global__ void __launch_bounds__(BLOCK) bioheat_advance(
    const float* __restrict__ ta_all, int nz, int ny, int nx, int pitch, int* windows, int* reach,
    int* frozen, const int* __restrict__ problem_probe, const int* __restrict__ probe_sample,
    const int* __restrict__ sample_ptr, const int* __restrict__ entry,
    const float* __restrict__ entry_weight, int monitors, const int* __restrict__ monitor_voxel,
    const float* __restrict__ monitor_weight, int width, int* clock, int* trace_frozen,
    float* trace_tau)
{
    __shared__ float shared[BLOCK];
    const int problem = blockIdx.y, thread = thread_number(), row = clock[2 * problem + 1];
    const float* ta = ta_all + problem * (FRONT + (long long)pitch * (ny + 2) * (nz + 2));
    float* out = trace_tau + ((long long)row * gridDim.y + problem) * width;
    const int first = problem_probe[problem], last = problem_probe[problem + 1];
    for (int p = first; p < last; ++p) {
        const int e1 = sample_ptr[probe_sample[p + 1]];
        float part = 0.0f;
        for (int e = sample_ptr[probe_sample[p]] + thread; e < e1; e += BLOCK)
            part += entry_weight[e] * ta[entry[e]];
        block_sum(shared, &part, 1);
        if (thread == 0) out[p - first] = part / (float)(probe_sample[p + 1] - probe_sample[p]);
        __syncthreads();
    }
    for (int n = thread; n < monitors; n += BLOCK) {
        float sum = 0.0f;
        for (int k = 8 * n; k < 8 * n + 8; ++k) sum += monitor_weight[k] * ta[monitor_voxel[k]];
        out[width - monitors + n] = sum;
    }
    const int shape[3] = {nz, ny, nx};
    if (thread < 6) {
        int* face = windows + 6 * problem + thread;
        int move = reach[6 * problem + thread];
        *face = min(max(thread % 2 ? *face + move : *face - move, 0), shape[thread / 2]);
        reach[6 * problem + thread] = 0;
    }
    if (thread == 0) {
        trace_frozen[(long long)row * gridDim.y + problem] = frozen[problem];
        frozen[problem] = 0;
    }
    __syncthreads();
    if (thread < 2) clock[2 * problem + thread] += 1;
}

// Temperature of every voxel of every problem as dense (problem, z, y, x) in degC, and per block
// the stored energy, the sum of u (MJ/m3; voxels of fixed temperature store nothing).
extern "C" __global__ void __launch_bounds__(BLOCK) bioheat_read_out(
    const float* __restrict__ ta_all, const unsigned char* __restrict__ cell_all,
    long long cell_stride, const float* __restrict__ tables, int table_stride, float tl, float ts,
    int nz, int ny, int nx, int pitch, float body, float* out, double* sums)
{
    __shared__ float shared[BLOCK];
    const int problem = blockIdx.y, thread = thread_number(), plane = pitch * (ny + 2);
    const int whole[6] = {0, nz, 0, ny, 0, nx};
    const Box box = tile_box(blockIdx.x, nz, ny, nx, whole);
    const int x = tile_x(blockIdx.x, nx), y = tile_y(blockIdx.x, nx, ny);
    float stored = 0.0f;
    if (x < box.x1 && y < box.y1) {
        const float* ta = ta_all + problem * (FRONT + (long long)plane * (nz + 2));
        const unsigned char* cell = cell_all + problem * cell_stride;
        const float* own_table = tables + (long long)problem * table_stride;
        for (int z = box.z0; z < box.z1; ++z) {
            const int i = FRONT + (z + 1) * plane + (y + 1) * pitch + x;
            const float t = ta[i];
            if (t != 0.0f) stored += u_of(t, own_table + ROW * (cell[i] & ~MIXED), tl, ts);
            out[(((long long)problem * nz + z) * ny + y) * nx + x] = body + t;
        }
    }
    block_sum(shared, &stored, 1);
    if (thread == 0) sums[(long long)problem * gridDim.x + blockIdx.x] = (double)stored;
}
