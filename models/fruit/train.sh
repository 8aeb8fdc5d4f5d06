#!/bin/sh
# Makes fruit.safetensors: the fruit model in the box.
#
#   models/fruit/train.sh DATA WORK
#
# DATA holds the three data sets as README.md beside this script names them; WORK gets everything else.
# More data sets may follow as NAME=FOLDER; each gets a head of its own. FRUITCORE names the program.
# Killed and started again, it goes on from the last finished epoch.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "$1" && pwd)
mkdir -p "$2"
work=$(cd "$2" && pwd)
shift 2
fruitcore=${FRUITCORE:-fruitcore}
seed=1

cd "$work"
[ -d shop ] || { mkdir shop.part && tar -xzf "$data/grocery-train-val.tar.gz" -C shop.part && mv shop.part shop; }
[ -d gray ] || { mkdir gray.part && tar -xzf "$data/fruits360-60-training.tar.gz" -C gray.part && mv gray.part gray; }
# Every tenth frame of the gray turntables.
(cd gray && find Training -name '*0_100.jpg') | LC_ALL=C sort | sed 's|^|gray/|' > gray.txt
# Training and validation pictures, for the very last stage.
find shop/train shop/val -type f | LC_ALL=C sort > shop.txt

# glibc gives large buffers back to the system after every step; keeping them saves faulting them in again.
export MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_MMAP_THRESHOLD_=8589934592

fruit="fruit=$data/fruits360-131x9"
train() { "$fruitcore" train "$@" --network mobilenet-v2 --width 0.35 --seed $seed; }
hard="--mixup 0.2 --cutmix 1 --weight-decay 0.05 --jitter 0.4 --repeat fruit=1.5"

# Crops show things larger than whole pictures do, so small pictures serve first: a step takes half the time.
# shellcheck disable=SC2086 # a list of arguments, here and below
train "$fruit" shop=shop/train gray=gray.txt "$@" --output stage1 --val 0.15 --val shop=shop/val $hard \
  --crop 0.25 --auxiliary gray --repeat gray=0.2 --input 64 --epochs 100 --stop-after 80

# What teachers and students are trained with. Steps are still large when they stop: as they get small, shop pictures are
# learned by heart.
large="--epochs 48 --stop-after 28 --warm-up 1 --dropout 0.2"

# Teachers are of the same network, each on a way of its own. They never see the validation pictures.
# shellcheck disable=SC2086
teacher() { # OUTPUT ARGUMENTS…
  out=$1
  shift
  train "$fruit" shop=shop/train --output "$out" --from stage1/model.safetensors --val 0.15 --val shop=shop/val \
    $hard $large "$@"
}
# What teachers hold probable, of every crop anew, can't be learned by heart. Of the line between a student and a teacher
# the middle is better than either end.
# shellcheck disable=SC2086
student() { # OUTPUT ARGUMENTS…
  out=$1
  shift
  train "$fruit" --output "$out" --from stage1/model.safetensors $hard $large --crop 0.15 --batch 48 \
    --learning-rate 2.5e-3 --teach 0.5 "$@"
}

teacher teacher1 "$@" --input 128 --crop 0.25 --batch 24 --learning-rate 1.8e-3
teacher teacher2 "$@" --input 128 --crop 0.2 --batch 48 --learning-rate 2.5e-3
student student1 shop=shop/train "$@" --input 128 --val 0.15 --val shop=shop/val \
  --teacher teacher1/model.safetensors --teacher teacher2/model.safetensors --blend teacher2/model.safetensors=0.6

# Larger pictures. The fourth teacher is the third with half of the first student: only the end is done again.
third="--input 160 --crop 0.2 --batch 48 --learning-rate 2.5e-3"
# shellcheck disable=SC2086
teacher teacher3 "$@" $third
mkdir -p teacher4
cp teacher3/state.safetensors teacher3/metrics.csv teacher4/
# shellcheck disable=SC2086
teacher teacher4 "$@" $third --blend student1/model.safetensors=0.5

# Crops show things larger than whole pictures do: in shops, where things lie in the middle, the head is more often right
# on that.
last="--input 160 --teacher teacher4/model.safetensors --blend teacher3/model.safetensors=0.7 --crop-pct shop=0.85"
# For the figures, and the temperatures of the heads:
# shellcheck disable=SC2086
student stage2 shop=shop/train "$@" $last --val 0.15 --val shop=shop/val
# The same once more with the validation pictures, which neither stage1 nor the teachers saw.
# shellcheck disable=SC2086
student stage3 shop=shop.txt "$@" $last --val 0 --temperatures stage2/model.safetensors

cp stage3/model-int8.safetensors "$here/fruit.safetensors"
