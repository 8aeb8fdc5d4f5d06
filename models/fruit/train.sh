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

# What both teachers and student are trained with. Steps are still large when they stop: as they get small, shop pictures
# are learned by heart.
large="--input 128 --epochs 48 --stop-after 28 --warm-up 1 --dropout 0.2"

# Two teachers of the same network, each on a way of its own. They never see the validation pictures.
# shellcheck disable=SC2086
teacher() { # OUTPUT ARGUMENTS…
  out=$1
  shift
  train "$fruit" shop=shop/train --output "$out" --from stage1/model.safetensors --val 0.15 --val shop=shop/val \
    $hard $large "$@"
}
teacher teacher1 "$@" --crop 0.25 --batch 24 --learning-rate 1.8e-3
teacher teacher2 "$@" --crop 0.2 --batch 48 --learning-rate 2.5e-3

# What both hold probable, of every crop anew, can't be learned by heart. Of the line between student and second teacher
# the middle is better than either end.
# shellcheck disable=SC2086
student() { # OUTPUT ARGUMENTS…
  out=$1
  shift
  train "$fruit" --output "$out" --from stage1/model.safetensors $hard $large --crop 0.15 --batch 48 \
    --learning-rate 2.5e-3 --teacher teacher1/model.safetensors --teacher teacher2/model.safetensors --teach 0.5 \
    --blend teacher2/model.safetensors=0.6 "$@"
}
# For the figures, and the temperatures of the heads:
student stage2 shop=shop/train --val 0.15 --val shop=shop/val "$@"
# The same once more with the validation pictures, which neither stage1 nor the teachers saw.
student stage3 shop=shop.txt --val 0 --temperatures stage2/model.safetensors "$@"

cp stage3/model-int8.safetensors "$here/fruit.safetensors"
